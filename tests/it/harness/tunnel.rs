//! A proxy for tunnels (`CONNECT`, RFC 9110 section 9.3.6).
//!
//! Also a TLS server for the other end of a tunnel.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificate;

/// A proxy that connects every tunnel to the same server, whatever its target.
pub(crate) struct TunnelProxy {
    pub(crate) address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl TunnelProxy {
    /// Starts a proxy; without a server, it refuses every client as unauthenticated.
    pub(crate) async fn leading_to(server: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, server.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, heads }
    }

    /// Returns the requests that it has received.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn tunnel(mut client: TcpStream, server: Option<String>, seen: Arc<Mutex<Vec<String>>>) {
    let head = head(&mut client).await;
    seen.lock().unwrap().push(head);
    let Some(server) = server else {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        client.write_all(refusal.as_bytes()).await.unwrap();
        return;
    };
    let mut server = TcpStream::connect(server).await.unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    // Either side may close the connection.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// Starts a server called `localhost` that answers each connection's first request with this text.
///
/// Returns its address.
pub(crate) async fn tls_server(answer: &'static str) -> String {
    let own = CertificateDer::from_pem_file(certificate("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    discogsography_api::tls::install_provider();
    let config = ServerConfig::builder().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![own], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut client = acceptor.accept(client).await.unwrap();
                head(&mut client).await;
                let length = answer.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}");
                client.write_all(answer.as_bytes()).await.unwrap();
                client.shutdown().await.unwrap();
            });
        }
    });
    address
}

/// Reads the head of a request, and nothing beyond it.
async fn head(client: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}
