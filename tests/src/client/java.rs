//! Java's `SSLSocket`, from a source file that `java` compiles as it runs it.
//!
//! Java looks at the names of CAs that the server sends and keeps a certificate of another CA to
//! itself: to the server it is a client without one.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::process::{Finished, run};

const SOURCE: &str = r#"
import java.io.*;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.*;
import javax.net.ssl.*;

class Talk {
    public static void main(String[] args) throws Exception {
        String host = args[0], name = args[2], version = args[4];
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        int number = 0;
        try (InputStream in = new FileInputStream(args[3])) {
            for (Certificate ca : CertificateFactory.getInstance("X.509").generateCertificates(in))
                trusted.setCertificateEntry("ca" + number++, ca);
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        KeyManager[] keys = null;
        if (args.length > 5) {
            KeyStore own = KeyStore.getInstance("PKCS12");
            try (InputStream in = new FileInputStream(args[5])) {
                own.load(in, "changeit".toCharArray());
            }
            KeyManagerFactory factory = KeyManagerFactory.getInstance("SunX509");
            factory.init(own, "changeit".toCharArray());
            keys = factory.getKeyManagers();
        }
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys, trust.getTrustManagers(), null);
        Socket plain = new Socket(host, Integer.parseInt(args[1]));
        plain.setSoTimeout(50000);
        SSLSocket tls = (SSLSocket) context.getSocketFactory().createSocket(plain, name, 0, true);
        SSLParameters parameters = tls.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        parameters.setProtocols(new String[] { version });
        tls.setSSLParameters(parameters);
        try {
            tls.startHandshake();
            tls.getOutputStream().write(System.in.readAllBytes());
            System.out.println(new String(tls.getInputStream().readAllBytes()));
            System.out.println("closed in order");
        } catch (SSLException refused) {
            System.out.println("refused: " + refused.getMessage());
            System.exit(3);
        }
    }
}
"#;

/// Sends `input` over `version` (`TLSv1.3`) and reads to the close_notify, showing the certificate
/// in a PKCS #12 file. Ends with code 3 and "refused: ..." after an alert.
#[must_use]
pub fn talk(
    address: SocketAddr,
    name: &str,
    roots: &Path,
    version: &str,
    shown: Option<&Path>,
    input: &str,
) -> Finished {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let source = directory.path().join("Talk.java");
    std::fs::write(&source, SOURCE).expect("a writable directory");
    let mut command = Command::new("java");
    command.arg("-XX:TieredStopAtLevel=1").arg(&source);
    command.args([&address.ip().to_string(), &address.port().to_string(), name]);
    command.arg(roots).arg(version).args(shown);
    run(&mut command, input.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::REQUEST;
    use crate::client::openssl::Server;
    use crate::pki::{Kind, Leaf, Pki};

    #[test]
    fn the_name_is_checked() {
        let _ = crate::need!("javac");
        let _ = crate::need!("openssl");
        let pki = Pki::new();
        let issued = pki.issue("server", &Leaf::new(Kind::P256, &["a.test"]));
        let server = Server::start(&issued, &[]);
        let ask = |name| talk(server.address, name, &pki.bundle(), "TLSv1.3", None, REQUEST);
        let _ = ask("a.test").success().says("s_server").says("closed in order");
        let _ = ask("b.test").exit(3).says("refused");
    }
}
