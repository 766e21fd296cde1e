//! Keyed hashes, which stand for what must be recognised and not be seen.
//!
//! Must not know what they are used for. Without the key a hash says nothing; with it, a number can be found by trying
//! all of them, which is why the key is a secret and why hashes are still personal data.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};

use aws_lc_rs::{digest, hmac};

use super::{RandomFault, Secret, digits, hex};
use crate::otp::{Message, Phone};

/// Makes keyed hashes of personal data, so that what belongs together can be put together without being shown.
///
/// HMAC-SHA-256, cut: a plain hash of a phone number is reversed by trying all of them.
#[derive(Clone)]
pub struct Pseudonyms {
    key: hmac::Key,
    /// Two hexadecimal digits that tell which key made a hash.
    key_id: String,
    /// The key of `hash` instead of the other, for what nobody outside this process sees.
    own: Option<RandomState>,
}

/// The first 128 bits of a keyed hash: fit to be shown, stored and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyedHash([u8; 16]);

impl KeyedHash {
    /// Reads a hash back that was written as 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut bytes = [0; 16];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(place * 2..place * 2 + 2)?;
            *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        (digits.len() == 32).then_some(Self(bytes))
    }

    /// The hash of two things together. Their order does not matter; both must be keyed hashes of different kinds.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        // Both are random to whoever lacks the key, so what they differ by is too: no third hash has to be computed.
        Self(std::array::from_fn(|place| self.0[place] ^ other.0[place]))
    }
}

fn digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Hashes what is random already, by what it says: for maps whose keys are keyed hashes, which nobody can choose.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not for keyed hashes, which are written as above: for whatever else a map may hash, well enough to be found.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
}

impl Hash for KeyedHash {
    /// Eight of its bytes: they are random as they stand.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl Pseudonyms {
    /// Hashes with a configured key, or with one that lasts as long as this process.
    ///
    /// # Errors
    /// When there is no key and the operating system gives no random bytes.
    pub fn new(key: Option<&Secret>) -> Result<Self, RandomFault> {
        let generated;
        let key = match key {
            Some(key) => key,
            None => {
                generated = Secret::generate()?;
                &generated
            }
        };
        Ok(Self::keyed(key.expose().as_bytes()))
    }

    /// Hashes with a key made of these secrets, for processes that share them and no key. It tells nothing of them.
    pub fn made_of(secrets: &[&Secret]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"hash key");
        for secret in secrets {
            // The length before each: "ab" and "c" are not "a" and "bc".
            context.update(&(secret.expose().len() as u64).to_be_bytes());
            context.update(secret.expose().as_bytes());
        }
        Self::keyed(context.finish().as_ref())
    }

    fn keyed(key: &[u8]) -> Self {
        let id = digest::digest(&digest::SHA256, key);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), key_id: hex(&id.as_ref()[..1]), own: None }
    }

    /// The same, but that `hash` serves this process alone: its hashes mean nothing to another or after a restart, and
    /// cost a tenth. A hook needs a dozen of them to find its keys in memory.
    #[must_use]
    pub fn within_process(&self) -> Self {
        Self { own: Some(RandomState::new()), ..self.clone() }
    }

    /// Whether both have one key.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key_id == other.key_id && self.tag(b"") == other.tag(b"")
    }

    fn tag(&self, text: &[u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        tag.copy_from_slice(&hmac::sign(&self.key, text).as_ref()[..16]);
        tag
    }

    /// The pseudonym of a number, such as `k3f:9b0c…` (24 hexadecimal digits).
    pub fn of(&self, phone: &Phone) -> String {
        let tag = hmac::sign(&self.key, phone.expose().as_bytes());
        format!("k{}:{}", self.key_id, hex(&tag.as_ref()[..12]))
    }

    /// The hash of several parts in their order. By convention the first one says what is hashed, so that no two uses
    /// can ever meet.
    pub fn hash(&self, parts: &[&[u8]]) -> KeyedHash {
        if let Some(own) = &self.own {
            return own_hash(own, parts);
        }
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            // The length before each part: "ab" and "c" are not "a" and "bc".
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&context.sign().as_ref()[..16]);
        KeyedHash(bytes)
    }

    /// What stands for the event of a message; `None` when Okta gave it no id. Orgs cannot name one another's events.
    pub fn event(&self, org: &str, message: &Message) -> Option<KeyedHash> {
        let event = message.event_id.as_ref()?;
        let source = message.source.as_ref().map_or("", |source| source.as_str());
        Some(self.hash(&[b"event", org.as_bytes(), source.as_bytes(), event.as_str().as_bytes()]))
    }
}

/// `SipHash` with a key of this process; the second half is that of the same text and one byte more.
fn own_hash(key: &RandomState, parts: &[&[u8]]) -> KeyedHash {
    // Hashed in one piece: many small ones cost several times as much.
    let mut text = Vec::with_capacity(128);
    for part in parts {
        text.extend_from_slice(&part.len().to_le_bytes());
        text.extend_from_slice(part);
    }
    let mut hasher = key.build_hasher();
    hasher.write(&text);
    let first = hasher.finish();
    hasher.write_u8(0);
    KeyedHash((u128::from(first) | u128::from(hasher.finish()) << 64).to_le_bytes())
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonyms(k{})", self.key_id)
    }
}

impl KeyedHash {
    /// The hash of the same thing as one of a kind. Whoever cannot choose hashes cannot make two of them meet.
    pub fn within(self, kind: &str) -> Self {
        // FNV-1a, which spreads the few kinds there are.
        let spread = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let kind = kind.bytes().fold(0xcbf2_9ce4_8422_2325, spread).to_le_bytes();
        let mut bytes = self.0;
        for (byte, of_kind) in bytes.iter_mut().zip(kind) {
            *byte ^= of_kind;
        }
        Self(bytes)
    }
}

impl fmt::Display for KeyedHash {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&digits(byte));
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasherDefault;

    use super::*;

    fn pseudonyms(key: &str) -> Pseudonyms {
        Pseudonyms::new(Secret::new(key).as_ref()).expect("random")
    }

    #[test]
    fn pseudonyms_depend_on_key_and_number_and_show_neither() {
        let phone = |n| Phone::parse(n, None).expect("valid");
        let (one, two) = (pseudonyms("key one"), pseudonyms("key two"));
        let a = one.of(&phone("+15005550006"));
        assert_eq!(a, one.of(&phone("+15005550006")));
        assert_ne!(a, one.of(&phone("+15005550007")));
        assert_ne!(a, two.of(&phone("+15005550006")));
        assert_eq!(a.len(), "kxx:".len() + 24);
        assert!(!a.contains("5550006"));
    }

    #[test]
    fn a_key_made_of_secrets_depends_on_all_of_them() {
        let secrets = ["one", "two", "on", "etwo"].map(|text| Secret::new(text).expect("text"));
        let [one, two, on, etwo] = secrets.each_ref();
        let hash = |secrets: &[&Secret]| Pseudonyms::made_of(secrets).hash(&[b"a"]);
        assert!(Pseudonyms::made_of(&[one, two]).is_same(&Pseudonyms::made_of(&[one, two])));
        assert!(!Pseudonyms::made_of(&[one, two]).is_same(&Pseudonyms::made_of(&[two, one])));
        assert_eq!(hash(&[one, two]), hash(&[one, two]));
        for others in [&[one][..], &[two, one], &[on, etwo]] {
            assert_ne!(hash(&[one, two]), hash(others));
        }
    }

    #[test]
    fn a_hash_depends_on_the_key_and_on_where_its_parts_begin() {
        let parts: &[&[u8]] = &[b"to", b"+15005550006"];
        let (one, two) = (pseudonyms("key one"), pseudonyms("key two"));
        let own = one.within_process();
        for (ours, theirs) in [(&one, &two), (&own, &one), (&own, &one.within_process())] {
            let hash = ours.hash(parts);
            assert_eq!((hash, ours.clone().hash(parts)), (ours.hash(parts), hash));
            for other in [
                ours.hash(&[b"to+", b"15005550006"]),
                ours.hash(&[b"to+15005550006"]),
                ours.hash(&[b"to", b"+15005550006", b""]),
                ours.hash(&[b"+15005550006", b"to"]),
                theirs.hash(parts),
            ] {
                assert_ne!(hash, other);
            }
        }
        let phone = Phone::parse("+15005550006", None).expect("valid");
        assert_eq!(own.of(&phone), one.of(&phone), "what is shown stays the same");
        let hash = one.hash(parts);
        let shown = hash.to_string();
        assert!(shown.len() == 32 && shown.bytes().all(|b| b.is_ascii_hexdigit()), "{shown}");
        assert_eq!(KeyedHash::parse(&shown), Some(hash));
        for other in [&shown[1..], &format!("{shown}0"), &shown.replacen(&shown[..1], "+", 1), ""] {
            assert_eq!(KeyedHash::parse(other), None, "{other}");
        }
        assert_eq!(format!("{:?}", one).len(), "Pseudonyms(kxx)".len());
    }

    #[test]
    fn two_keys_with_one_id_are_not_the_same() {
        let one = pseudonyms("key one");
        let mut others = (0..).map(|n| pseudonyms(&format!("key {n}")));
        let other = others.find(|other| other.key_id == one.key_id).expect("endless");
        assert!(!one.is_same(&other) && one.is_same(&one.clone()));
    }

    #[test]
    fn nothing_of_a_hash_is_lost_when_others_are_made_of_it() {
        let keyed = pseudonyms("key one");
        let own = keyed.within_process();
        for (a, b) in [&keyed, &own].map(|p| (p.hash(&[b"a"]), p.hash(&[b"b"]))) {
            assert_eq!(a.with(&b), b.with(&a));
            assert_eq!((a.with(&b).with(&b), a.within("kind").within("kind")), (a, a));
            assert!(a.with(&b) != a && a.within("kind") != a && a.within("kind") != a.within("other"));
            let halves = |hash: KeyedHash| [hash.0[..8] != b.0[..8], hash.0[8..] != b.0[8..]];
            assert_eq!(halves(a), [true; 2], "all of it depends on what is hashed");
        }
    }

    #[test]
    fn what_maps_hash_by_what_it_says_is_spread() {
        let hasher = BuildHasherDefault::<IdentityHasher>::default();
        let keyed = pseudonyms("key one");
        let hashes: BTreeSet<u64> = (0..100_u8).map(|n| hasher.hash_one(keyed.hash(&[&[n]]))).collect();
        assert_eq!(hashes.len(), 100);
        let texts = ["a", "b", "ab", "ba", "aaaaaaaa", "aaaaaaaaa"];
        assert_eq!(texts.map(|text| hasher.hash_one(text)).into_iter().collect::<BTreeSet<_>>().len(), texts.len());
    }
}
