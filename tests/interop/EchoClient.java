import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.Random;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * Sends a mebibyte and then a byte to an echo over TLS and compares: PORT CA VERSION [STORE PASSWORD], the store with a
 * certificate to show; prints the version and "same" per connection.
 */
public class EchoClient {
  public static void main(String[] arguments) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    try (InputStream ca = new FileInputStream(arguments[1])) {
      trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(ca));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(arguments.length > 4 ? shown(arguments[3], arguments[4]) : null, trust.getTrustManagers(), null);
    for (int round = 0; round < 2; round++) {  // the second resumes the first one's session
      exchange(context, Integer.parseInt(arguments[0]), arguments[2]);
    }
  }

  private static KeyManager[] shown(String store, String password) throws Exception {
    KeyStore own = KeyStore.getInstance("PKCS12");
    try (InputStream file = new FileInputStream(store)) {
      own.load(file, password.toCharArray());
    }
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(own, password.toCharArray());
    return keys.getKeyManagers();
  }

  private static void exchange(SSLContext context, int port, String version) throws Exception {
    byte[] data = new byte[1 << 20];
    new Random(1).nextBytes(data);
    try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("localhost", port)) {
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      parameters.setProtocols(new String[] {version});
      socket.setSSLParameters(parameters);
      Thread writer = new Thread(() -> write(socket, data));
      writer.start();
      byte[] heard = socket.getInputStream().readNBytes(data.length);
      writer.join();
      // All KeyUpdates of this client are sent now: an answer to them comes before the echo of this byte.
      socket.getOutputStream().write(1);
      boolean same = Arrays.equals(data, heard) && socket.getInputStream().read() == 1;
      System.out.println(socket.getSession().getProtocol() + (same ? " same" : " different"));
    }
  }

  private static void write(SSLSocket socket, byte[] data) {
    try {
      socket.getOutputStream().write(data);
    } catch (Exception failure) {
      System.out.println(failure);
    }
  }
}
