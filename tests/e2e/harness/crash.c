/* Preloaded into a Headgate that has to crash at a known place. CRASH_AT says where:
     say W N       in place of the Nth notice with the word W to the process before it, an upgrade's other side
     thread NAME   when a thread gives itself a name that begins so
     text WORD     when it has received WORD from a socket
   CRASH_SIGNAL says how: "segv" is a SIGSEGV by a store to nowhere, "hang" stops the thread, any other value or
   none is abort(). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kHandoverSocket = 3 };

static const char *argument(const char *place) {
  const char *at = getenv("CRASH_AT");
  const size_t size = strlen(place);
  return at != NULL && strncmp(at, place, size) == 0 && at[size] == ' ' ? at + size + 1 : NULL;
}

static void crash(void) {
  const char *how = getenv("CRASH_SIGNAL");
  volatile int *nowhere = NULL;
  while (how != NULL && strcmp(how, "hang") == 0) pause();
  if (how == NULL || strcmp(how, "segv") != 0) abort();
  *nowhere = 1;
}

/* A notice: "HGHO", version and kind (0), then the first field's head, then the word. */
static int is_notice(const unsigned char *bytes, size_t size, int word) {
  return size > 16 && memcmp(bytes, "HGHO", 4) == 0 && bytes[6] == 0 && bytes[7] == 0 && bytes[16] == word;
}

ssize_t send(int socket, const void *bytes, size_t size, int flags) {
  static int said;
  const char *what = argument("say");
  int word = 0, count = 0;
  ssize_t (*real)(int, const void *, size_t, int);
  if (what != NULL && socket == kHandoverSocket && sscanf(what, "%d %d", &word, &count) == 2 &&
      is_notice(bytes, size, word) && ++said == count) {
    crash();
  }
  *(void **)&real = dlsym(RTLD_NEXT, "send");
  return real(socket, bytes, size, flags);
}

int pthread_setname_np(pthread_t thread, const char *name) {
  const char *beginning = argument("thread");
  int (*real)(pthread_t, const char *);
  if (beginning != NULL && strncmp(name, beginning, strlen(beginning)) == 0) crash();
  *(void **)&real = dlsym(RTLD_NEXT, "pthread_setname_np");
  return real(thread, name);
}

ssize_t recv(int socket, void *into, size_t size, int flags) {
  const char *word = argument("text");
  ssize_t (*real)(int, void *, size_t, int);
  ssize_t got;
  *(void **)&real = dlsym(RTLD_NEXT, "recv");
  got = real(socket, into, size, flags);
  if (word != NULL && got > 0 && memmem(into, (size_t)got, word, strlen(word)) != NULL) crash();
  return got;
}
