<%@ page contentType="text/plain; charset=UTF-8" session="false" import="jakarta.servlet.http.Cookie" import="java.io.IOException" import="java.nio.charset.StandardCharsets" import="java.util.Base64" import="java.util.regex.Matcher" import="java.util.regex.Pattern" trimDirectiveWhitespaces="true" %><%!
// What Tomcat recognises: one line for each reading that found something.
static final Pattern BEARER = Pattern.compile("^Bearer (?<token>[a-zA-Z0-9-._~+/]+=*)$", Pattern.CASE_INSENSITIVE);

void line(jakarta.servlet.jsp.JspWriter out, String name, String value) throws IOException {
    if (value != null && !value.isEmpty()) {
        out.print(name + " " + value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") + "\n");
    }
}

String user(Base64.Decoder decoder, String encoded) {
    try {
        return new String(decoder.decode(encoded), StandardCharsets.UTF_8).split(":", 2)[0];
    } catch (IllegalArgumentException notBase64) {
        return null;
    }
}
%><%
if (request.getCookies() != null) {
    for (Cookie cookie : request.getCookies()) {
        line(out, "cookie." + cookie.getName(), cookie.getValue());
    }
}
line(out, "session.requested", request.getRequestedSessionId());
line(out, "path", request.getPathInfo());
line(out, "key.header", request.getHeader("x-api-key"));
line(out, "key.query", request.getParameter("api_key"));
line(out, "token.query", request.getParameter("access_token"));
String authorization = request.getHeader("Authorization");
if (authorization != null) {
    String[] words = authorization.split(" ");
    line(out, "auth.split_1", words.length > 1 ? words[1] : null);
    // As Spring Security OAuth does: after the word, up to a comma.
    line(out, "auth.substring", authorization.toLowerCase().startsWith("bearer") ? authorization.substring(6).trim().split(",", 2)[0] : null);
    // As Spring Security does.
    Matcher matcher = BEARER.matcher(authorization);
    line(out, "auth.spring", matcher.matches() ? matcher.group("token") : null);
    if (authorization.regionMatches(true, 0, "Basic ", 0, 6)) {
        String encoded = authorization.substring(6).trim();
        line(out, "basic.decoder", user(Base64.getDecoder(), encoded));
        line(out, "basic.mime", user(Base64.getMimeDecoder(), encoded));
    }
}
%>
