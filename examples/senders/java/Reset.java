import static java.nio.charset.StandardCharsets.UTF_8;
import java.nio.file.*;
import java.security.*;
import java.security.spec.*;
import java.util.*;
import javax.crypto.Cipher;
import javax.crypto.spec.*;
/** Sets a user's password as a portal does, in suite rsa-1: java Reset.java PROFILE UPN, with the new password on the standard input. PROFILE is
 * writeback-send's, which carries the tokens. Exit code: 0 written, 1 not written, 3 unknown. docs/protocol.md explains every step. */
class Reset {
    static final PSSParameterSpec PS256 = new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1);
    static Map<String, String> members(String json) { // of a flat object without escapes; whatever else there is, or stands twice, is an error
        String member = "\\s*[{,]\\s*\"(\\w+)\"\\s*:\\s*(\"[^\"\\\\]*\"|\\d+|true|false|\\[[^\\[\\]]*]|\\{[^{}]*})(\\s*}\\s*)?";
        if (!json.replaceAll(member, "").isEmpty()) throw new IllegalArgumentException("not the JSON that was expected");
        return new Scanner(json).findAll(member).collect(java.util.stream.Collectors.toMap(m -> m.group(1), m -> m.group(2).replaceAll("^\"|\"$", "")));
    }
    static String json(String text, Object... values) { return text.replace('\'', '"').formatted(values); }
    static String quote(String text) { return '"' + text.chars().mapToObj("\\u%04x"::formatted).reduce("", String::concat) + '"'; }
    static String b64(String text) { return b64(text.getBytes(UTF_8)); }
    static String b64(byte[] data) { return Base64.getUrlEncoder().withoutPadding().encodeToString(data); }
    static byte[] unb64(String text) { return Base64.getUrlDecoder().decode(text); }
    static byte[] random(int length) { byte[] data = new byte[length]; new SecureRandom().nextBytes(data); return data; }
    static Signature ps256() throws Exception { var made = Signature.getInstance("RSASSA-PSS"); made.setParameter(PS256); return made; }
    static java.math.BigInteger number(String text) { return new java.math.BigInteger(1, unb64(text)); }
    static RSAPublicKeySpec rsa(Map<String, String> jwk) { return new RSAPublicKeySpec(number(jwk.get("n")), number(jwk.get("e"))); }

    static String seal(Map<String, String> jwk, byte[] plaintext) throws Exception {
        Cipher rsa = Cipher.getInstance("RSA/ECB/OAEPPadding"), gcm = Cipher.getInstance("AES/GCM/NoPadding");
        var oaep = new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT); // else MGF1 would take SHA-1
        rsa.init(Cipher.WRAP_MODE, KeyFactory.getInstance("RSA").generatePublic(rsa(jwk)), oaep);
        var contentKey = new SecretKeySpec(random(32), "AES");
        gcm.init(Cipher.ENCRYPT_MODE, contentKey); // makes a random nonce
        String header = b64(json("{'alg':'RSA-OAEP-256','enc':'A256GCM','cty':'json','kid':'%s'}", jwk.get("kid")));
        gcm.updateAAD(header.getBytes(UTF_8));
        byte[] sealed = gcm.doFinal(plaintext), text = Arrays.copyOf(sealed, plaintext.length), tag = Arrays.copyOfRange(sealed, text.length, sealed.length);
        return String.join(".", header, b64(rsa.wrap(contentKey)), b64(gcm.getIV()), b64(text), b64(tag));
    }

    static Map<String, String> verify(String result, String input, String issuer, String jti, List<Map<String, String>> keys) throws Exception {
        String[] part = result.split("\\.", -1);
        for (String text : part) if (!b64(unb64(text)).equals(text)) throw new SignatureException("not base64url as it has to be");
        Map<String, String> header = members(new String(unb64(part[0]), UTF_8)), answer = members(new String(unb64(part[1]), UTF_8));
        var key = keys.stream().filter(k -> k.get("alg").equals("PS256") && k.get("use").equals("sig") && k.get("kid").equals(header.get("kid"))).findAny().orElseThrow();
        Signature signature = ps256();
        signature.initVerify(KeyFactory.getInstance("RSA").generatePublic(rsa(key)));
        signature.update((part[0] + "." + part[1]).getBytes(UTF_8));
        String agent = key.get("agent"), digest = b64(MessageDigest.getInstance("SHA-256").digest(input.getBytes(UTF_8)));
        answer.putIfAbsent("detail", "");
        if (part.length != 3 || !header.equals(Map.of("typ", "writeback-result+jwt", "alg", "PS256", "kid", key.get("kid"))) || !signature.verify(unb64(part[2]))
            || !answer.keySet().equals(Set.of("iss", "agent", "aud", "req", "req_sha256", "jti", "iat", "outcome", "reason", "replayed", "detail"))
            || !answer.entrySet().containsAll(Map.of("iss", agent, "agent", agent.replaceFirst(".*/", ""), "aud", issuer, "req", jti, "req_sha256", digest).entrySet()))
            throw new SignatureException("not the answer of one of our agents to this request");
        return answer;
    }

    public static void main(String[] args) throws Exception {
        Path path = Path.of(args[0]).toAbsolutePath();
        Map<String, String> profile = members(Files.readString(path)), own = members(Files.readString(path.resolveSibling(profile.get("key"))));
        var agents = new Scanner(path.resolveSibling(profile.get("agents").replaceAll("[\\[\\]\\s\"]", ""))); // one file with all of the group
        var keys = agents.findAll("\\{[^{}]*}").map(k -> members(k.group())).distinct().filter(k -> k.get("agent").startsWith(profile.get("group") + "/")).toList();
        String password = new String(System.in.readAllBytes(), UTF_8).replaceFirst("\r?\n\\z", "");
        String jti = b64(random(16)), same = json("'jti':'%s','iss':'%s','aud':'%s','op':'reset'", jti, profile.get("issuer"), profile.get("group"));
        String text = "%-4096s".formatted(json("{%s,'user':{'upn':%s},'password':%s}", same, quote(args[1]), quote(password))); // its length tells nothing
        var sealed = new StringJoiner(",");
        for (var key : keys) if (key.get("alg").equals("RSA-OAEP-256") && key.get("use").equals("enc")) sealed.add(json("'%s':'%s'", key.get("kid"), seal(key, text.getBytes(UTF_8))));
        long now = System.currentTimeMillis() / 1000;
        String input = b64(json("{'typ':'writeback-request+jwt','alg':'PS256','kid':'%s'}", own.get("kid"))) + "." + b64(json(
            "{%s,'iat':%d,'exp':%d,'auth_time':%d,'amr':['otp'],'act':{'kind':'self'},'reply':'%s','sealed':{%s}}", same, now, now + 60, now, b64(random(16)), sealed));
        Signature signature = ps256();
        signature.initSign(KeyFactory.getInstance("RSA").generatePrivate(new RSAPrivateKeySpec(number(own.get("n")), number(own.get("d")))));
        signature.update(input.getBytes(UTF_8));
        Process carry = new ProcessBuilder("writeback-send", "carry", "--profile", args[0]).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try (var out = carry.outputWriter()) { out.write(input + "." + b64(signature.sign())); }
        Thread.currentThread().setUncaughtExceptionHandler((thread, fault) -> { System.out.println("unknown: " + fault); System.exit(3); });
        var answer = verify(new String(carry.getInputStream().readAllBytes(), UTF_8).strip(), input, profile.get("issuer"), jti, keys);
        System.out.println(answer.get("outcome") + ": " + answer.get("reason") + " " + answer.get("detail"));
        System.exit(Map.of("written", 0, "not_written", 1).getOrDefault(answer.get("outcome"), 3));
    }
}
