//! The key of pseudonyms: where it lies, how it is made, and which names of addresses follow from the settings.
//! It must never show a key, take one that everybody can read, or replace one: pseudonyms of before would mean nothing.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    config::{Network, Settings},
    privacy::{AddressMode, AddressNames, Key, WeakKey},
};

/// Name of the key in the state directory.
const FILE: &str = "privacy.key";

/// What is wrong with the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or made.
    #[error(
        "key of pseudonyms {path}: cannot {op}: {source}; make it readable for this user, or name another with `privacy.key_file`"
    )]
    Io {
        /// What was tried.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It can be read by anybody.
    #[error(
        "key of pseudonyms {path}: mode {mode:04o} lets everybody read it; chmod 600 it, or draw a new one"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no key.
    #[error(
        "key of pseudonyms {path}: expected {} hexadecimal digits, found something else; `openssl rand -hex 32` makes a key",
        2 * Key::BYTES
    )]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// It hides nothing.
    #[error("key of pseudonyms {path}: {source}")]
    Weak {
        /// The file.
        path: PathBuf,
        /// Why.
        source: WeakKey,
    },
    /// A command over captures has none.
    #[error(
        "`privacy.addresses` is \"prefix\", but there is no key: {path} does not exist; name one with `privacy.key_file` \
         (`openssl rand -hex 32` makes a key), or set `privacy.addresses` to \"plain\" or \"drop\""
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
}

/// How a running sensor names addresses. Makes the key in the state directory if it is needed and not there.
///
/// # Errors
/// If the key cannot be read, used or made.
pub fn live(settings: &Settings) -> Result<AddressNames, KeyError> {
    names(settings, |path| match read(path) {
        Err(KeyError::Missing { .. }) if settings.privacy_key_file.is_none() => make(path),
        other => other,
    })
}

/// How a command over captures names addresses: it makes no key.
///
/// # Errors
/// If a key is needed and cannot be read or used.
pub fn offline(settings: &Settings) -> Result<AddressNames, KeyError> {
    names(settings, read)
}

fn names(
    settings: &Settings,
    key: impl FnOnce(&Path) -> Result<Key, KeyError>,
) -> Result<AddressNames, KeyError> {
    match settings.privacy_addresses {
        AddressMode::Plain => Ok(AddressNames::plain()),
        AddressMode::Drop => {
            let local: Vec<_> = settings.local_networks.iter().map(Network::mapped).collect();
            Ok(AddressNames::dropped(&local))
        }
        AddressMode::Prefix => {
            let path = settings
                .privacy_key_file
                .clone()
                .unwrap_or_else(|| settings.state_dir.join(FILE));
            key(&path).map(AddressNames::prefix)
        }
    }
}

fn read(path: &Path) -> Result<Key, KeyError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Missing {
            path: path.to_owned(),
        },
        _ => KeyError::Io {
            op: "read it",
            path: path.to_owned(),
            source,
        },
    };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(KeyError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let bytes = parse(text.trim()).ok_or_else(|| KeyError::Form {
        path: path.to_owned(),
    })?;
    Key::new(bytes).map_err(|source| KeyError::Weak {
        path: path.to_owned(),
        source,
    })
}

fn parse(text: &str) -> Option<[u8; Key::BYTES]> {
    let mut bytes = [0; Key::BYTES];
    if text.len() != 2 * Key::BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Draws a key and writes it under another name first: a key of which half was written when the power went would be
/// refused at every later start.
fn make(path: &Path) -> Result<Key, KeyError> {
    let write = || -> io::Result<[u8; Key::BYTES]> {
        let mut bytes = [0; Key::BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let fresh = path.with_extension("key.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        writeln!(file, "{}", crate::detect::hex(&bytes))?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        Ok(bytes)
    };
    let bytes = write().map_err(|source| KeyError::Io {
        op: "make it",
        path: path.to_owned(),
        source,
    })?;
    Key::new(bytes).map_err(|source| KeyError::Weak {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    const ADDRESS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];

    fn settings(dir: &Path) -> Settings {
        let mut settings = crate::config::load(None, &|_| None, &[]).unwrap();
        dir.clone_into(&mut settings.state_dir);
        settings.privacy_addresses = AddressMode::Prefix;
        settings
    }

    #[test]
    fn a_key_is_made_once_readable_by_its_owner_only_and_names_stay_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        assert!(matches!(offline(&settings), Err(KeyError::Missing { .. })));
        let first = live(&settings).unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = first.text(&ADDRESS);
        assert_ne!(text, "192.0.2.7");
        assert_eq!(live(&settings).unwrap().text(&ADDRESS), text);
        assert_eq!(offline(&settings).unwrap().text(&ADDRESS), text);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_is_open_or_no_key_or_hides_nothing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path());
        let path = dir.path().join("own.key");
        settings.privacy_key_file = Some(path.clone());
        assert!(
            matches!(live(&settings), Err(KeyError::Missing { .. })),
            "a named key is not made"
        );
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            live(&settings)
        };
        let good = "00112233445566778899aabbccddeeff".to_owned() + &"0f".repeat(16);
        assert!(matches!(write(&good, 0o644), Err(KeyError::Open { .. })));
        assert!(write(&format!("{good}\n"), 0o600).is_ok());
        assert!(matches!(write("short", 0o600), Err(KeyError::Form { .. })));
        assert!(matches!(
            write(&"+1".repeat(32), 0o600),
            Err(KeyError::Form { .. })
        ));
        assert!(matches!(
            write(&"00".repeat(32), 0o600),
            Err(KeyError::Weak { .. })
        ));
    }

    #[test]
    fn words_follow_the_local_networks_of_the_settings() {
        let mut settings = settings(Path::new("/nonexistent"));
        settings.privacy_addresses = AddressMode::Drop;
        settings.local_networks = vec!["192.0.2.0/24".parse().unwrap()];
        assert_eq!(live(&settings).unwrap().text(&ADDRESS), crate::privacy::LOCAL);
    }
}
