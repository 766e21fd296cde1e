//! The raw head of a request: where it ends, and whether everybody on the way reads the same request in it.
//!
//! Must not know what a request asks for. Where two headers disagree about the end of a body, hyper prefers one and
//! drops the other without a trace. A proxy in front that prefers the other sees different requests in the same bytes,
//! and that is how one request is smuggled past it. So such a head is found here, in the bytes, and refused.
//! The rules are those of RFC 9112, with every MAY of leniency read as a no.

use std::net::Ipv6Addr;

/// How many bytes of body follow a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// As many as were announced; none when nothing was.
    Known(u64),
    /// As many as there are chunks.
    Chunked,
}

/// The rule a head breaks, for a debug line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// A head that is coming in. hyper stops reading beyond its own limit, so this needs none.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<u8>);

/// A head that has come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Complete {
    /// What follows, unless a rule is broken.
    pub(super) extent: Result<Extent, Malformed>,
    /// Bytes that came with the head and lie beyond its end.
    pub(super) beyond: u64,
}

impl Head {
    /// Takes bytes up. Gives the judgement when the head is complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<Complete> {
        // The empty line that ends a head may lie across two reads.
        let from = self.0.len().saturating_sub(3);
        self.0.extend_from_slice(bytes);
        // Old clients end a body with a line end that no length counts.
        let blank = self.0.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count() * 2;
        let from = from.max(blank);
        let end = self.0.get(from..)?.windows(4).position(|w| w == b"\r\n\r\n")? + from;
        let beyond = (self.0.len() - end - 4) as u64;
        Some(Complete { extent: judge(&self.0[blank..end]), beyond })
    }
}

/// What a head says of itself.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
}

/// Judges a head without the empty line that ends it.
fn judge(head: &[u8]) -> Result<Extent, Malformed> {
    let mut lines = lines(head);
    let is_http_11 = request_line(lines.next().unwrap_or_default())?;
    let mut said = Said::default();
    for line in lines {
        header(line, &mut said)?;
    }
    ensure(said.hosts == 1 || (said.hosts == 0 && !is_http_11), "not exactly one Host")?;
    match (said.chunked, said.length) {
        (true, Some(_)) => Err(Malformed("both Content-Length and Transfer-Encoding")),
        (true, None) if !is_http_11 => Err(Malformed("Transfer-Encoding in HTTP/1.0")),
        (true, None) => Ok(Extent::Chunked),
        (false, length) => Ok(Extent::Known(length.unwrap_or(0))),
    }
}

/// Lines by their CR LF. Either of the two alone stays in its line, and makes it malformed.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = line_end(text);
        rest = end.map(|end| &text[end + 2..]);
        Some(end.map_or(text, |end| &text[..end]))
    })
}

fn line_end(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + text.get(from..)?.iter().position(|b| *b == b'\r')?;
        if text.get(end + 1) == Some(&b'\n') {
            return Some(end);
        }
        from = end + 1;
    }
}

/// Whether it is HTTP/1.1. The target must be a path: whole addresses are for proxies, and we are none.
fn request_line(line: &[u8]) -> Result<bool, Malformed> {
    let mut words = line.split(|b| *b == b' ');
    let (_method, target, version) = (words.next(), words.next(), words.next());
    ensure(!has_break(line) && words.next().is_none(), "request line")?;
    let is_path = |target: &[u8]| target.starts_with(b"/") && target.is_ascii() && !target.contains(&b'#');
    ensure(target.is_some_and(is_path), "the target is no path")?;
    match version {
        Some(b"HTTP/1.1") => Ok(true),
        Some(b"HTTP/1.0") => Ok(false),
        _ => Err(Malformed("version")),
    }
}

fn header(line: &[u8], said: &mut Said) -> Result<(), Malformed> {
    let colon = line.iter().position(|b| *b == b':').ok_or(Malformed("a line without a colon"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    ensure(!has_break(line) && !name.iter().any(u8::is_ascii_whitespace), "white space where none may be")?;
    if name.eq_ignore_ascii_case(b"content-length") {
        let length = digits(value).ok_or(Malformed("Content-Length"))?;
        ensure(said.length.replace(length).is_none(), "two Content-Lengths")?;
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        // Other codings, and lists of them, have no use here but to be read differently by two readers.
        let first = !std::mem::replace(&mut said.chunked, true);
        ensure(first && value.eq_ignore_ascii_case(b"chunked"), "Transfer-Encoding")?;
    } else if name.eq_ignore_ascii_case(b"host") {
        said.hosts += 1;
        ensure(is_host(value), "Host")?;
    }
    Ok(())
}

/// Whether it is a name or an address with at most a port, or nothing: `uri-host [ ":" port ]` of RFC 3986, section 3.2.
fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.strip_prefix(b"[").map(|rest| rest.split(|b| *b == b']').next().unwrap_or_default())
    {
        Some(address) => {
            let is_address = std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
            (is_address, value.get(address.len() + 2..))
        }
        None => {
            let end = value.iter().position(|b| *b == b':').unwrap_or(value.len());
            (value[..end].iter().all(|b| is_in_name(*b)), Some(&value[end..]))
        }
    };
    let is_port = |port: &[u8]| match port.split_first() {
        None => true,
        Some((colon, port)) => {
            *colon == b':' && (port.is_empty() || digits(port).is_some_and(|n| n <= u16::MAX.into()))
        }
    };
    host && port.is_some_and(is_port)
}

/// `reg-name`: what a host name, an IPv4 address or a percent-encoded name is made of. Commas are none of it here: they
/// join two lines of a header to one.
fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}

fn ensure(holds: bool, rule: &'static str) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(Malformed(rule)) }
}

fn has_break(line: &[u8]) -> bool {
    line.iter().any(|b| matches!(b, b'\r' | b'\n'))
}

fn digits(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(head: &str) -> Result<Extent, Malformed> {
        Head::default().push(head.as_bytes()).expect("complete").extent
    }

    fn with(headers: &str) -> Result<Extent, Malformed> {
        whole(&format!("POST /hook HTTP/1.1\r\nHost: x\r\n{headers}\r\n"))
    }

    #[test]
    fn what_everybody_reads_alike_is_taken() {
        assert_eq!(with(""), Ok(Extent::Known(0)));
        assert_eq!(with("Content-Length: 5\r\n"), Ok(Extent::Known(5)));
        assert_eq!(with("content-length:\t5 \r\n"), Ok(Extent::Known(5)));
        assert_eq!(with("Transfer-Encoding: chunked\r\n"), Ok(Extent::Chunked));
        assert_eq!(with("transfer-encoding: CHUNKED\r\nx-content-length: 5\r\n"), Ok(Extent::Chunked));
        for line_ends in 0..5 {
            let head = format!("{}GET /livez HTTP/1.0\r\n\r\n", "\r\n".repeat(line_ends));
            assert_eq!(whole(&head), Ok(Extent::Known(0)), "{line_ends}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_not() {
        for headers in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\ncontent-length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            " Transfer-Encoding: chunked\r\n",
            "X: a\nTransfer-Encoding: chunked\r\n",
            "X: a\rTransfer-Encoding: chunked\r\n",
            "X: a\r\n folded\r\n",
            "Host: y\r\n",
            "no colon\r\n",
        ] {
            assert!(with(headers).is_err(), "{headers:?}");
        }
        for head in [
            "POST /hook HTTP/1.1\r\n\r\n",
            "POST /hook#x HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST http://x/hook HTTP/1.1\r\nHost: x\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
            "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST  /hook HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /hook HTTP/2.0\r\nHost: x\r\n\r\n",
            "POST /hook HTTP/1.1 x\r\nHost: x\r\n\r\n",
            "POST /ho\nok HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /ho\rok HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /hook\r\nHost: x\r\n\r\n",
            "POST /hook HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(whole(head).is_err(), "{head:?}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_at_most_a_port_or_nothing() {
        let host = |value: &str| whole(&format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n"));
        for value in [
            "",
            "x",
            "otp.example.com",
            "otp.example.com:8443",
            "x:",
            "127.0.0.1:80",
            "[::1]",
            "[2001:db8::7]:443",
            "a_b",
            "xn--bcher-kva.example",
            "b%C3%BC.example",
        ] {
            assert_eq!(host(value), Ok(Extent::Known(0)), "{value}");
        }
        for value in [
            "a b",
            "a/b",
            "u@b",
            "x:99x",
            "x:65536",
            "x:1:2",
            "::1",
            "a,b",
            "http://x",
            "bü.example",
            "[::1",
            "[::1]x",
            "[x]",
            "[::1]:x",
            "::1]",
            "<x>",
            "x?y",
            "x#y",
            "x\"y",
            "x\\y",
            ":80,",
            "[]",
            "x\ty",
        ] {
            assert_eq!(host(value), Err(Malformed("Host")), "{value}");
        }
        let raw = b"GET /\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n";
        let judged = Head::default().push(raw).expect("complete").extent;
        assert_eq!(judged, Err(Malformed("the target is no path")), "a path is ASCII");
    }

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        let bytes = b"\r\nPOST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{}..";
        let expected = Complete { extent: Ok(Extent::Known(4)), beyond: 4 };
        for cut in 0..bytes.len() - 4 {
            let mut head = Head::default();
            assert_eq!(head.push(&bytes[..cut]), None, "{cut}");
            assert_eq!(head.push(&bytes[cut..]), Some(expected), "{cut}");
        }
        let mut head = Head::default();
        let judged = bytes.iter().filter_map(|b| head.push(&[*b])).next();
        assert_eq!(judged, Some(Complete { beyond: 0, ..expected }));
    }
}
