//! Feeds: what comes first on a connection.
//!
//! Must hold: a head that is found sound ends where hyper's own parser ends it, and has the body that its reading gives;
//! cut into pieces, the same bytes are judged alike. A head that hyper's parser refuses never gets further.

#![cfg_attr(fuzzing, no_main)]

/// The file itself: it names nothing of the server, and no door above it answers without a socket.
#[allow(dead_code, unreachable_pub, reason = "made for its own crate")]
#[path = "../../src/http/framing.rs"]
mod framing;

use framing::{Complete, Extent, Head};
use httparse::{EMPTY_HEADER, Request, Status};

/// As many as hyper takes.
const MAX_HEADERS: usize = 100;

/// Whether it was found sound.
pub fn holds(data: &[u8]) -> bool {
    let whole = Head::default().push(data);
    is_judged_alike_in_pieces(data, whole);
    let Some(Complete { extent: Ok(extent), beyond }) = whole else { return false };
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    let Ok(read) = request.parse(data) else { return false };
    assert_eq!(read, Status::Complete(data.len() - usize::try_from(beyond).expect("as long as it came")));
    assert!(request.path.is_some_and(|path| path.starts_with('/') && !path.contains('#')));
    let all = |name: &str| {
        let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| String::from_utf8_lossy(header.value)).collect::<Vec<_>>()
    };
    assert!(all("host").len() == 1 || (all("host").is_empty() && request.version == Some(0)));
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    match extent {
        Extent::Known(length) => {
            assert!(codings.is_empty());
            let read: Vec<u64> = lengths.iter().map(|length| length.parse().expect("digits")).collect();
            assert!(read == [length] || (read.is_empty() && length == 0));
        }
        Extent::Chunked => {
            assert!(lengths.is_empty() && request.version == Some(1));
            assert!(codings.len() == 1 && codings[0].eq_ignore_ascii_case("chunked"));
        }
    }
    true
}

/// Two pieces, by a place that the bytes themselves choose; and every byte by itself up to the end of the head.
fn is_judged_alike_in_pieces(data: &[u8], whole: Option<Complete>) {
    let cut = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte)) % (data.len() + 1);
    let mut head = Head::default();
    let before = head.push(&data[..cut]);
    let joined = before.map(|found| Complete { beyond: found.beyond + (data.len() - cut) as u64, ..found });
    assert_eq!(joined.or_else(|| head.push(&data[cut..])), whole, "cut at {cut}");
    let mut head = Head::default();
    let single = data.iter().find_map(|byte| head.push(&[*byte]));
    assert_eq!(single.map(|found| found.extent), whole.map(|found| found.extent));
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
