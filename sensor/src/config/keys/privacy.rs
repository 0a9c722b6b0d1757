//! Keys of the table `privacy`. It must never hold a key of pseudonyms itself: configuration files are shown.

use super::{Key, name_of, one_of, path, quoted};
use crate::privacy::AddressMode;

const ADDRESSES: [(&str, AddressMode); 3] = [
    ("plain", AddressMode::Plain),
    ("prefix", AddressMode::Prefix),
    ("drop", AddressMode::Drop),
];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "privacy.addresses",
        env: "SENSOR_PRIVACY_ADDRESSES",
        default: "\"plain\"",
        values: "`plain`, `prefix`, `drop`",
        help: "How every output names addresses: as they are, as pseudonyms that keep prefixes (whoever has the key can turn \
               them back), or only as `local`, `external` or `group`.",
        reloads: false,
        set: |s, v| one_of(v, &ADDRESSES).map(|mode| s.privacy_addresses = mode),
        get: |s| name_of(s.privacy_addresses, &ADDRESSES),
    },
    Key {
        name: "privacy.key_file",
        env: "SENSOR_PRIVACY_KEY_FILE",
        default: "\"\"",
        values: "path, or empty for `privacy.key` in `state_dir`, which is made on first use",
        help: "Key of the pseudonyms: 64 hexadecimal digits. Commands over captures need it named here, as they have no \
               state directory of their own.",
        reloads: false,
        set: |s, v| {
            s.privacy_key_file = match v.text()? {
                "" => None,
                _ => Some(path(v)?),
            };
            Ok(())
        },
        get: |s| {
            s.privacy_key_file
                .as_ref()
                .map_or_else(|| quoted(""), |path| quoted(path.display()))
        },
    },
];
