// Gets a page as a student does it with nothing but the JDK (11 or newer), whose
// HttpClient offers by default to go on with HTTP/2; prints the status:
//   java Get.java http://localhost:8000/messages
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

class Get {
  public static void main(String[] args) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(args[0])).build();
    var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
    System.out.println("GET " + answer.statusCode());
  }
}
