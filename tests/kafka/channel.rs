//! Where messages go that are for people: a server that keeps what it is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A server that takes every message, but those under [`GONE`].
pub struct Channel {
    pub port: u16,
    pub messages: Arc<Mutex<Vec<String>>>,
}

/// Whoever posts there is told that the channel is gone.
pub const GONE: &str = "/gone";

impl Channel {
    /// On a free port.
    pub fn open() -> Channel {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let messages: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = messages.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = heard.clone();
                // whoever connects and says nothing is in nobody's way
                std::thread::spawn(move || take(stream, &heard));
            }
        });
        Channel { port, messages }
    }

    /// What came so far.
    pub fn said(&self) -> Vec<String> {
        self.messages.lock().expect("no panic").clone()
    }
}

/// Keeps what one request brings.
fn take(stream: TcpStream, heard: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let (mut length, mut is_gone) = (0, false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        is_gone |= line.starts_with(&format!("POST {GONE}"));
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).is_ok() && is_gone {
        let answer = b"HTTP/1.1 410 Gone\r\ncontent-length: 4\r\nconnection: close\r\n\r\ngone";
        drop(stream.get_mut().write_all(answer));
    } else if length > 0 {
        heard.lock().expect("no panic").push(String::from_utf8_lossy(&body).into_owned());
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
        drop(stream.get_mut().write_all(answer));
    }
}
