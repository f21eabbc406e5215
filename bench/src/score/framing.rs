//! HTTP/1.1 on a socket, as little of it as callers and an upstream need: one message after the other,
//! bodies by length or in chunks. A proxy is measured better the less time its callers take.

use bytes::{Buf, BytesMut};
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Nobody here sends a longer head.
const MOST_HEAD: usize = 64 * 1024;

const MOST_HEADERS: usize = 64;

/// Bytes that one read may bring.
const ROOM: usize = 16 * 1024;

/// A connection, from either side.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    buffer: BytesMut,
}

/// What is needed of the head of an answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Body,
    /// The other side goes away after this message.
    pub(super) closes: bool,
}

/// What is needed of the head of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) body: Body,
}

/// How the rest of a body is told apart from what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are left.
    Left(u64),
    /// Chunked, within a chunk of which so many bytes are left.
    Chunk(u64),
    /// Chunked, before the line that says how long the next chunk is.
    Size,
    /// Chunked, before the line break that ends a chunk.
    ChunkEnd,
    /// Chunked, within the lines after the last chunk.
    Trailer,
    /// Everything until the connection ends.
    UntilEnd,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: BytesMut::with_capacity(ROOM) })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// The head of the next answer.
    pub(super) async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(reply) = parse_reply(&mut self.buffer)? {
                return Ok(reply);
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The head of the next request; none when the caller has left in good order.
    pub(super) async fn asked(&mut self) -> io::Result<Option<Asked>> {
        loop {
            if let Some(asked) = parse_asked(&mut self.buffer)? {
                return Ok(Some(asked));
            }
            if !self.fill().await? {
                let left = self.buffer.is_empty();
                return if left { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Reads the whole body.
    pub(super) async fn body(
        &mut self,
        mut body: Body,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        while !body.advance(&mut self.buffer, &mut take)? {
            if !self.fill().await? {
                let ended = body == Body::UntilEnd;
                return if ended { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        Ok(())
    }

    /// False at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(ROOM);
        Ok(self.socket.read_buf(&mut self.buffer).await? > 0)
    }
}

impl Body {
    /// Takes from the buffer what is there of the body; true when it has ended.
    pub(super) fn advance(
        &mut self,
        buffer: &mut BytesMut,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<bool> {
        loop {
            match self {
                Self::Left(0) => return Ok(true),
                Self::Chunk(0) => *self = Self::ChunkEnd,
                _ if buffer.is_empty() => return Ok(false),
                Self::Left(left) | Self::Chunk(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    take(buffer.get(..here).unwrap_or_default());
                    buffer.advance(here);
                    *left -= u64::try_from(here).unwrap_or_default();
                }
                Self::UntilEnd => {
                    take(buffer);
                    buffer.clear();
                }
                Self::Size | Self::ChunkEnd | Self::Trailer => {
                    let Some(line) = line(buffer)? else { return Ok(false) };
                    match self.after_line(&line)? {
                        Some(next) => *self = next,
                        None => return Ok(true),
                    }
                }
            }
        }
    }

    /// What comes after a line; nothing at the end.
    fn after_line(self, line: &[u8]) -> io::Result<Option<Self>> {
        Ok(match self {
            Self::Size => match chunk_size(line)? {
                0 => Some(Self::Trailer),
                size => Some(Self::Chunk(size)),
            },
            Self::Trailer if line.is_empty() => None,
            Self::Trailer => Some(Self::Trailer),
            _ if line.is_empty() => Some(Self::Size),
            _ => return Err(bad("a chunk is longer than it says")),
        })
    }
}

/// The next line without its end, once it is there.
fn line(buffer: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
        let sane = buffer.len() < MOST_HEAD;
        return if sane { Ok(None) } else { Err(bad("a line has no end")) };
    };
    let mut line = buffer.split_to(end + 1);
    let ending = if line.ends_with(b"\r\n") { 2 } else { 1 };
    line.truncate(line.len() - ending);
    Ok(Some(line))
}

fn chunk_size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| bad("a chunk has no size"))
}

fn parse_reply(buffer: &mut BytesMut) -> io::Result<Option<Reply>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(buffer).map_err(io::Error::other)? else {
        return incomplete(buffer);
    };
    let status = head.code.unwrap_or_default();
    let body = if matches!(status, 204 | 304) { Some(Body::Left(0)) } else { body(head.headers)? };
    let closes = head.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("connection")
            && header.value.eq_ignore_ascii_case(b"close")
    });
    let body = body.unwrap_or(Body::UntilEnd);
    let closes = closes || body == Body::UntilEnd;
    buffer.advance(length);
    Ok(Some(Reply { status, body, closes }))
}

fn parse_asked(buffer: &mut BytesMut) -> io::Result<Option<Asked>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(buffer).map_err(io::Error::other)? else {
        return incomplete(buffer);
    };
    let path = head.path.unwrap_or_default().to_owned();
    let body = body(head.headers)?.unwrap_or(Body::Left(0));
    buffer.advance(length);
    Ok(Some(Asked { path, body }))
}

fn incomplete<T>(buffer: &BytesMut) -> io::Result<Option<T>> {
    if buffer.len() < MOST_HEAD { Ok(None) } else { Err(bad("a head has no end")) }
}

/// How long the headers say that the body is; nothing when they do not.
fn body(headers: &[httparse::Header<'_>]) -> io::Result<Option<Body>> {
    let mut length = None;
    for header in headers {
        let text = std::str::from_utf8(header.value).unwrap_or_default().trim();
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Some(Body::Size));
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            length = Some(Body::Left(text.parse().map_err(|_| bad("a length is no number"))?));
        }
    }
    Ok(length)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body that comes in pieces of one size; what is left in the buffer comes back too.
    fn read(mut body: Body, text: &str, size: usize) -> (bool, String, String) {
        let (mut buffer, mut taken, mut ended) = (BytesMut::new(), Vec::new(), false);
        for piece in text.as_bytes().chunks(size) {
            buffer.extend_from_slice(piece);
            if !ended {
                ended = body.advance(&mut buffer, |data| taken.extend_from_slice(data)).unwrap();
            }
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (ended, text(&taken), text(&buffer))
    }

    #[test]
    fn a_body_ends_where_it_says_however_it_is_cut() {
        let chunked = "5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\nX-T: 1\r\n\r\nnext";
        for size in 1..chunked.len() {
            let expected = (true, "hello world".to_owned(), "next".to_owned());
            assert_eq!(read(Body::Size, chunked, size), expected, "in pieces of {size}");
            let expected = (true, "hello".to_owned(), " and".to_owned());
            assert_eq!(read(Body::Left(5), "hello and", size), expected);
        }
        assert!(!read(Body::Size, "5\r\nhel", 2).0);
        assert!(read(Body::Left(0), "x", 1).0);
    }

    #[test]
    fn a_chunk_that_lies_is_refused() {
        for text in ["z\r\n", "2\r\nabc\r\n", "-1\r\n"] {
            let mut buffer = BytesMut::from(text);
            assert!(Body::Size.advance(&mut buffer, |_| ()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn heads_say_what_follows() {
        let reply = |text: &str| parse_reply(&mut BytesMut::from(text)).unwrap();
        let fixed = reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        assert_eq!((fixed.status, fixed.body, fixed.closes), (200, Body::Left(3), false));
        let chunked =
            reply("HTTP/1.1 429 No\r\ntransfer-encoding: chunked\r\nConnection: Close\r\n\r\n");
        let chunked = chunked.unwrap();
        assert_eq!((chunked.status, chunked.body, chunked.closes), (429, Body::Size, true));
        assert_eq!(reply("HTTP/1.0 200 OK\r\n\r\n").unwrap().body, Body::UntilEnd);
        assert!(reply("HTTP/1.1 200 OK\r\nContent-Le").is_none());
        let mut buffer = BytesMut::from("POST /v1/x HTTP/1.1\r\nhost: a\r\n\r\nnext");
        let asked = parse_asked(&mut buffer).unwrap().unwrap();
        assert_eq!((asked.path.as_str(), asked.body), ("/v1/x", Body::Left(0)));
        assert_eq!(buffer, "next");
    }
}
