//! How addresses become text: as they are, as prefix-preserving pseudonyms, or as words that only say where they are.
//! Pure. Everything that leaves the sensor names addresses through [`AddressNames`]; it must never hold a key in a form
//! that a log line could show, and never name one address in two ways.
//!
//! Pseudonyms are ipcrypt-pfx (draft-denis-ipcrypt): addresses that share their first n bits have pseudonyms that share
//! their first n bits, IPv4 stays IPv4, and whoever holds the key can turn a pseudonym back.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use hashbrown::HashMap;
use ipcrypt_rs::IpcryptPfx;

/// How addresses are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressMode {
    /// As they are.
    #[default]
    Plain,
    /// As pseudonyms that keep prefixes.
    Prefix,
    /// As words: `local`, `external`, `group`.
    Drop,
}

/// What stands for a host of one of the local networks in [`AddressMode::Drop`].
pub const LOCAL: &str = "local";
/// What stands for any other host.
pub const EXTERNAL: &str = "external";
/// What stands for a multicast group or broadcast.
pub const GROUP: &str = "group";

/// Prefix of IPv4-mapped addresses (RFC 4291, section 2.5.5.2).
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Key of pseudonyms. Not to be shown: its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; Self::BYTES]);

/// A key whose halves are the same gives every address away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the two halves of the key are the same, so that pseudonyms would equal the addresses; draw another at random"
)]
pub struct WeakKey;

impl Key {
    /// Length of a key.
    pub const BYTES: usize = 32;

    /// A key from random bytes.
    ///
    /// # Errors
    /// If its halves are the same.
    pub fn new(bytes: [u8; Self::BYTES]) -> Result<Self, WeakKey> {
        let (first, second) = bytes.split_at(Self::BYTES / 2);
        if first == second {
            return Err(WeakKey);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// Turns addresses into text; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddressNames(Names);

#[derive(Clone, Debug, Default, PartialEq)]
enum Names {
    #[default]
    Plain,
    Prefix(Arc<Pseudonyms>),
    Drop(Arc<[(u128, u128)]>),
}

/// Pseudonyms remembered at most: hosts appear again and again, and each costs up to 256 blocks of AES.
const MOST_REMEMBERED: usize = 65_536;

struct Pseudonyms {
    key: Key,
    cipher: IpcryptPfx,
    remembered: Mutex<HashMap<[u8; 16], Box<str>, foldhash::quality::FixedState>>,
}

impl Pseudonyms {
    fn new(key: Key) -> Self {
        // Seeded with the key, so that addresses cannot be chosen to collide.
        let seed = key
            .0
            .iter()
            .fold(0u64, |seed, byte| seed.rotate_left(8) ^ u64::from(*byte));
        Self {
            cipher: IpcryptPfx::new(key.0),
            remembered: Mutex::new(HashMap::with_hasher(foldhash::quality::FixedState::with_seed(
                seed,
            ))),
            key,
        }
    }

    fn text(&self, address: &[u8; 16]) -> String {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = remembered.get(address) {
            return text.to_string();
        }
        let text = self
            .cipher
            .encrypt_ipaddr(IpAddr::from(*address).to_canonical())
            .to_string();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(*address, text.clone().into_boxed_str());
        text
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

impl PartialEq for Pseudonyms {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl AddressNames {
    /// Addresses as they are.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Pseudonyms under a key.
    pub fn prefix(key: Key) -> Self {
        Self(Names::Prefix(Arc::new(Pseudonyms::new(key))))
    }

    /// Words. `local` are the networks whose hosts are ours, as (address, prefix length of the 128-bit form).
    pub fn dropped(local: &[([u8; 16], u8)]) -> Self {
        let masked = local.iter().map(|&(address, prefix)| {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(prefix.min(128)))
                .unwrap_or(0);
            (u128::from_be_bytes(address) & mask, mask)
        });
        Self(Names::Drop(masked.collect()))
    }

    /// How addresses are written.
    pub fn mode(&self) -> AddressMode {
        match &self.0 {
            Names::Plain => AddressMode::Plain,
            Names::Prefix(_) => AddressMode::Prefix,
            Names::Drop(_) => AddressMode::Drop,
        }
    }

    /// Whether addresses are written as they are. Only then may an output hold anything that is computed from them, such
    /// as a Community ID, or be in their order: both can be turned back.
    pub fn is_plain(&self) -> bool {
        self.0 == Names::Plain
    }

    /// An address as text; IPv4-mapped ones as IPv4.
    pub fn text(&self, address: &[u8; 16]) -> String {
        match &self.0 {
            Names::Plain => address_text(address),
            Names::Prefix(pseudonyms) => pseudonyms.text(address),
            Names::Drop(local) => {
                let bits = u128::from_be_bytes(*address);
                let word = if is_group(address) {
                    GROUP
                } else if local.iter().any(|(network, mask)| bits & mask == *network) {
                    LOCAL
                } else {
                    EXTERNAL
                };
                word.to_owned()
            }
        }
    }

    /// A list of addresses as text, `limit` of them at most: in the order given where they are plain, else sorted and
    /// without repetition.
    pub fn texts(&self, addresses: impl Iterator<Item = [u8; 16]>, limit: usize) -> Vec<String> {
        if self.is_plain() {
            return addresses
                .take(limit)
                .map(|address| address_text(&address))
                .collect();
        }
        let mut texts: Vec<String> = addresses.map(|address| self.text(&address)).collect();
        texts.sort_unstable();
        texts.dedup();
        texts.truncate(limit);
        texts
    }
}

/// An address as text; IPv4-mapped ones as IPv4.
pub fn address_text(address: &[u8; 16]) -> String {
    IpAddr::from(*address).to_canonical().to_string()
}

/// Multicast and limited broadcast.
fn is_group(address: &[u8; 16]) -> bool {
    match address.strip_prefix(&MAPPED) {
        Some([224..=239, ..] | [255, 255, 255, 255]) => true,
        Some(_) => false,
        None => address[0] == 0xff,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Test vectors of draft-denis-ipcrypt, ipcrypt-pfx.
    const KEY_1: &str = "0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301";
    const KEY_2: &str = "2b7e151628aed2a6abf7158809cf4f3ca9f5ba40db214c3798f2e1c23456789a";
    const VECTORS: [(&str, &str, &str); 16] = [
        (KEY_1, "0.0.0.0", "151.82.155.134"),
        (KEY_1, "255.255.255.255", "94.185.169.89"),
        (KEY_1, "192.0.2.1", "100.115.72.131"),
        (KEY_1, "2001:db8::1", "c180:5dd4:2587:3524:30ab:fa65:6ab6:f88"),
        (KEY_2, "10.0.0.47", "19.214.210.244"),
        (KEY_2, "10.0.0.129", "19.214.210.80"),
        (KEY_2, "10.0.0.234", "19.214.210.30"),
        (KEY_2, "172.16.5.193", "210.78.229.136"),
        (KEY_2, "172.16.97.42", "210.78.179.241"),
        (KEY_2, "172.16.248.177", "210.78.121.215"),
        (
            KEY_2,
            "2001:db8::a5c9:4e2f:bb91:5a7d",
            "7cec:702c:1243:f70:1956:125:b9bd:1aba",
        ),
        (
            KEY_2,
            "2001:db8::7234:d8f1:3c6e:9a52",
            "7cec:702c:1243:f70:a3ef:c8e:95c1:cd0d",
        ),
        (
            KEY_2,
            "2001:db8::f1e0:937b:26d4:8c1a",
            "7cec:702c:1243:f70:443c:c8e:6a62:b64d",
        ),
        (
            KEY_2,
            "2001:db8:3a5c::e7d1:4b9f:2c8a:f673",
            "7cec:702c:3503:bef:e616:96bd:be33:a9b9",
        ),
        (
            KEY_2,
            "2001:db8:9f27::b4e2:7a3d:5f91:c8e6",
            "7cec:702c:a504:b74e:194a:3d90:b047:2d1a",
        ),
        (
            KEY_2,
            "2001:db8:d8b4::193c:a5e7:8b2f:46d1",
            "7cec:702c:f840:aa67:1b8:e84f:ac9d:77fb",
        ),
    ];

    fn bytes(text: &str) -> [u8; 16] {
        match text.parse::<IpAddr>().unwrap() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        }
    }

    fn key(hex: &str) -> Key {
        let byte = |index: usize| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap();
        Key::new(std::array::from_fn(byte)).unwrap()
    }

    #[test]
    fn pseudonyms_are_those_of_the_published_vectors() {
        for (hex, address, expected) in VECTORS {
            assert_eq!(AddressNames::prefix(key(hex)).text(&bytes(address)), expected);
        }
    }

    #[test]
    fn addresses_of_one_network_have_pseudonyms_of_one_network_and_others_do_not() {
        let names = AddressNames::prefix(key(KEY_2));
        let network = |text: &str| text.rsplit_once('.').unwrap().0.to_owned();
        let first = network(&names.text(&bytes("192.0.2.0")));
        for host in 1..=255 {
            assert_eq!(network(&names.text(&bytes(&format!("192.0.2.{host}")))), first);
        }
        assert_ne!(network(&names.text(&bytes("192.0.3.7"))), first);
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered_and_changes_no_name() {
        let names = AddressNames::prefix(key(KEY_1));
        let name = names.text(&bytes("192.0.2.1"));
        for host in 0..=MOST_REMEMBERED as u32 {
            names.text(&std::net::Ipv4Addr::from(host).to_ipv6_mapped().octets());
        }
        assert_eq!(names.text(&bytes("192.0.2.1")), name);
        let Names::Prefix(pseudonyms) = &names.0 else {
            return;
        };
        assert!(pseudonyms.remembered.lock().unwrap().len() <= MOST_REMEMBERED);
    }

    #[test]
    fn dropped_addresses_say_only_where_they_are() {
        let names = AddressNames::dropped(&[(bytes("203.0.113.0"), 96 + 24), (bytes("fd00::"), 8)]);
        let cases = [
            ("203.0.113.9", LOCAL),
            ("203.0.114.9", EXTERNAL),
            ("10.0.0.1", EXTERNAL),
            ("fd12::1", LOCAL),
            ("2001:db8::1", EXTERNAL),
            ("239.1.2.3", GROUP),
            ("255.255.255.255", GROUP),
            ("ff02::fb", GROUP),
        ];
        for (address, word) in cases {
            assert_eq!(names.text(&bytes(address)), word, "{address}");
        }
    }

    #[test]
    fn lists_keep_no_order_that_tells_about_the_addresses() {
        let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(bytes);
        let names = AddressNames::prefix(key(KEY_1));
        let mut sorted: Vec<String> = addresses.iter().map(|address| names.text(address)).collect();
        assert!(
            !sorted.is_sorted(),
            "the test needs addresses whose pseudonyms are in another order"
        );
        sorted.sort();
        assert_eq!(names.texts(addresses.into_iter(), 16), sorted);
        assert_eq!(
            AddressNames::dropped(&[]).texts(addresses.into_iter(), 16),
            [EXTERNAL]
        );
        assert_eq!(
            AddressNames::plain().texts(addresses.into_iter(), 2),
            ["192.0.2.1", "192.0.2.2"]
        );
    }

    #[test]
    fn a_key_is_not_shown_and_not_taken_if_its_halves_are_the_same() {
        assert_eq!(Key::new([7; 32]), Err(WeakKey));
        assert_eq!(
            format!("{:?}", AddressNames::prefix(key(KEY_1))),
            "AddressNames(Prefix(Key(hidden)))"
        );
    }

    #[test]
    fn plain_addresses_are_written_as_usual() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
        assert_eq!(address_text(&mapped), "192.0.2.7");
        assert_eq!(AddressNames::plain().text(&bytes("2001:db8::1")), "2001:db8::1");
    }
}
