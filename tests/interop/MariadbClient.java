import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;

/** Asks for a product by a prepared statement, three times in one connection to the URL that it is given. */
public class MariadbClient {
  public static void main(String[] arguments) throws Exception {
    try (Connection connection = DriverManager.getConnection(arguments[0]);
        PreparedStatement statement = connection.prepareStatement("select ? * ?")) {
      for (int i = 0; i < 3; ++i) {
        statement.setInt(1, 6);
        statement.setInt(2, 7);
        try (ResultSet result = statement.executeQuery()) {
          result.next();
          System.out.println(result.getInt(1));
        }
      }
    }
  }
}
