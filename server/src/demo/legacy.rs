//! The plain-text service of the demonstration: line by line, no TLS, not to be touched.
//!
//! It answers each line in capitals, `quit` ends the connection, and an HTTP request gets a page,
//! so that curl works too.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Clients served at once; more are turned away.
const CLIENTS_MAX: usize = 64;
const LINE_MAX: u64 = 4096;
/// A client that says nothing for so long is let go, so that its thread ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service; ends when dropped.
pub(super) struct Legacy {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Legacy {
    pub(super) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("legacy".to_owned())
            .spawn(move || serve(&listener, &stopped))?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread out of its accept.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    let clients = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if clients.load(Ordering::Relaxed) >= CLIENTS_MAX {
            continue;
        }
        clients.fetch_add(1, Ordering::Relaxed);
        let counted = Arc::clone(&clients);
        // A client that ends in an error has ended.
        std::thread::spawn(move || {
            let _ = talk(&stream);
            counted.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn talk(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut writer = stream;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.by_ref().take(LINE_MAX).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        if line.starts_with("GET ") {
            let page = "the legacy service says hello, in clear text behind the proxy\n";
            return write!(
                writer,
                "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{page}",
                page.len()
            );
        }
        if line.eq_ignore_ascii_case("quit") {
            return writer.write_all(b"BYE\n");
        }
        writer.write_all(format!("{}\n", line.to_uppercase()).as_bytes())?;
    }
}
