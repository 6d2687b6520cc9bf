#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "tls/library/library_context.h"
#include "tls/record/aead_contexts.h"
#include "tls/record/record_layer.h"
#include "tls/record/traffic_keys.h"

// What a record costs: its context found or keyed anew, sealed, opened; and what taking a connection over
// costs.
namespace headgate {
namespace {

struct Worker {
  std::unique_ptr<LibraryContext> library{*LibraryContext::make()};
  AeadContexts contexts{library.get()};
};

RecordSuite suite_of(const benchmark::State& state) {
  return static_cast<RecordSuite>(state.range(0));
}

DirectionState direction(RecordSuite suite) {
  const std::vector<std::byte> secret(size_bytes(row(suite).hash), std::byte{7});
  return {.suite = suite, .secret = TrafficSecret(secret), .sequence_number = 0};
}

/// Sealers in one suite, taking turns: few enough and each finds its context again, else each keys one anew.
void seal_in_turns(benchmark::State& state, std::size_t directions) {
  Worker worker;
  std::vector<std::unique_ptr<RecordProtector>> sealers;
  while (sealers.size() < directions) {
    sealers.push_back(std::make_unique<RecordProtector>(worker.contexts, direction(suite_of(state))));
  }
  const std::vector<std::byte> content(static_cast<std::size_t>(state.range(1)));
  std::vector<std::byte> record(kMaxRecordBytes);
  std::size_t turn = 0;
  for (auto _ : state) {
    RecordProtector& sealer = *sealers[turn++ % directions];
    benchmark::DoNotOptimize(sealer.seal(ContentType::kApplicationData, content, record));
    if (sealer.key_is_worn()) sealer.seal_key_update(KeyUpdateRequest::kNotRequested, record);
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
}

void seal_cached(benchmark::State& state) {
  seal_in_turns(state, 1);
}
void seal_busy_set(benchmark::State& state) {
  seal_in_turns(state, 200);
}
void seal_keyed_anew(benchmark::State& state) {
  seal_in_turns(state, AeadContexts::kMaxContexts * 2);
}

/// Opens kBatch records at a time; sealing them, with the timing paused, uses the same worker.
void open_cached(benchmark::State& state) {
  constexpr int kBatch = 64;
  Worker worker;
  RecordProtector sealer(worker.contexts, direction(suite_of(state)));
  RecordOpener opener(worker.contexts, TlsRole::kServer, direction(suite_of(state)));
  const std::vector<std::byte> content(static_cast<std::size_t>(state.range(1)));
  const std::size_t record_bytes = content.size() + kRecordOverheadBytes;
  std::vector<std::byte> records(kBatch * record_bytes);
  std::vector<std::byte> room(kBatch * kMaxRecordContentBytes);
  for (auto _ : state) {
    state.PauseTiming();
    for (int i = 0; i < kBatch; ++i) {
      sealer.seal(ContentType::kApplicationData, content,
                  std::span(records).subspan(record_bytes * static_cast<std::size_t>(i)));
    }
    state.ResumeTiming();
    if (opener.open(records, room).status != RecordOpener::Status::kNeedsMore)
      state.SkipWithError("not opened");
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
  state.SetBytesProcessed(state.iterations() * kBatch * state.range(1));
}

void take_over(benchmark::State& state) {
  Worker worker;
  for (auto _ : state) {
    RecordProtector sealer(worker.contexts, direction(suite_of(state)));
    RecordOpener opener(worker.contexts, TlsRole::kServer, direction(suite_of(state)));
    benchmark::DoNotOptimize(&sealer);
    benchmark::DoNotOptimize(&opener);
  }
}

const std::vector<std::vector<std::int64_t>> kSuitesAndSizes{{0, 1, 2}, {64, 1400, 16384}};

BENCHMARK(seal_cached)->ArgsProduct(kSuitesAndSizes);
BENCHMARK(seal_busy_set)->ArgsProduct({{0, 1, 2}, {64}});
BENCHMARK(seal_keyed_anew)->ArgsProduct({{0, 1, 2}, {64}});
BENCHMARK(open_cached)->ArgsProduct(kSuitesAndSizes);
BENCHMARK(take_over)->DenseRange(0, 2);

}  // namespace
}  // namespace headgate
