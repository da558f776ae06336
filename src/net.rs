//! The seam to the network: what listens and what dials, over TCP in production
//! and over anything else in a simulation.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// A connection, in two halves that can be used at the same time. Dropping both
/// closes it.
pub struct Stream {
    /// What the other side sends.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the other side is sent.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// Dials and listens.
pub trait Network {
    /// Opens a connection to `host`, a name or an address, at `port`.
    fn connect(&self, host: &str, port: u16) -> LocalBoxFuture<'static, io::Result<Stream>>;

    /// Listens at `host` and `port`; port 0 lets the system choose.
    fn listen(
        &self,
        host: &str,
        port: u16,
    ) -> LocalBoxFuture<'static, io::Result<Box<dyn Listener>>>;
}

/// What [`Network::listen`] returns.
pub trait Listener {
    /// The next connection and who opened it, for the log.
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<(Stream, String)>>;

    /// Where it listens.
    fn port(&self) -> u16;
}

/// The system's TCP, without Nagle's delay and with keepalive: a connection whose
/// other host has vanished without a word ends after two minutes, even if nothing is
/// to be sent; else it would keep its place for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

/// A connection that has been silent for so long is asked whether it is there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// And again after so long, if there is no answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// And ended when so many questions in a row had none.
const KEEPALIVE_RETRIES: u32 = 6;

/// How many connections the kernel keeps for us until we accept them.
const BACKLOG_CONNECTIONS: u32 = 4096;

impl Network for Tcp {
    fn connect(&self, host: &str, port: u16) -> LocalBoxFuture<'static, io::Result<Stream>> {
        let host = host.to_owned();
        Box::pin(async move { stream(TcpStream::connect((host.as_str(), port)).await?) })
    }

    fn listen(
        &self,
        host: &str,
        port: u16,
    ) -> LocalBoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let mut last_error =
                io::Error::new(io::ErrorKind::NotFound, "no address for this name");
            for address in tokio::net::lookup_host((host.as_str(), port)).await? {
                match listen_at(address) {
                    Ok(listener) => {
                        let port = listener.local_addr()?.port();
                        return Ok(Box::new(TcpAcceptor { listener, port }) as Box<dyn Listener>);
                    }
                    Err(error) => last_error = error,
                }
            }
            Err(last_error)
        })
    }
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        tokio::net::TcpSocket::new_v6()?
    };
    // A restarted server takes its port again at once, past the TIME_WAIT of
    // its old connections; a live listener still excludes it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG_CONNECTIONS)
}

struct TcpAcceptor {
    listener: TcpListener,
    port: u16,
}

impl Listener for TcpAcceptor {
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<(Stream, String)>> {
        Box::pin(async {
            let (socket, address) = self.listener.accept().await?;
            Ok((stream(socket)?, address.to_string()))
        })
    }

    fn port(&self) -> u16 {
        self.port
    }
}

fn stream(socket: TcpStream) -> io::Result<Stream> {
    prepare(&socket)?;
    let (reader, writer) = socket.into_split();
    Ok(Stream { reader: Box::new(reader), writer: Box::new(writer) })
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_connection_whose_other_host_has_vanished_is_noticed_by_the_kernel() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(&socket).unwrap();
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_RETRIES);
    }
}
