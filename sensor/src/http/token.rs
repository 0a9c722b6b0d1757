//! The bearer token that protects everything with addresses in it when the listener is not on loopback.
//! It must never be logged, nor compared in a time that depends on where it differs.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::HttpError;

/// Random bytes of a token; written as twice as many hexadecimal digits.
const TOKEN_BYTES: usize = 32;
const SHORTEST: usize = 16;

/// An access token; only its digest is kept.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl Token {
    /// Reads the token file, or makes it with mode 0600 at the first start.
    ///
    /// # Errors
    /// If the file is open to others, too short, or cannot be read or made.
    pub fn load(path: &Path) -> Result<Self, HttpError> {
        let fail = |cause: String| HttpError::Token {
            path: path.to_owned(),
            cause,
        };
        match fs::read_to_string(path) {
            Ok(text) => {
                let mode = fs::metadata(path)
                    .map_err(|cause| fail(cause.to_string()))?
                    .permissions()
                    .mode();
                if mode & 0o077 != 0 {
                    return Err(fail(format!("mode {:04o} lets others read it", mode & 0o777)));
                }
                if text.trim().len() < SHORTEST {
                    return Err(fail(format!("shorter than {SHORTEST} characters")));
                }
                Ok(Self::of(text.trim()))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let text = fresh().map_err(|cause| fail(cause.to_string()))?;
                let write = || {
                    let mut file = OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(path)?;
                    file.write_all(format!("{text}\n").as_bytes())
                };
                write().map_err(|cause: io::Error| fail(cause.to_string()))?;
                Ok(Self::of(&text))
            }
            Err(cause) => Err(fail(cause.to_string())),
        }
    }

    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether `text` is the token. Digests are compared to the end, so the time says nothing about the token.
    pub(super) fn accepts(&self, text: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        self.0
            .iter()
            .zip(given)
            .fold(0u8, |difference, (a, b)| difference | (a ^ b))
            == 0
    }
}

fn fresh() -> io::Result<String> {
    let mut bytes = [0u8; TOKEN_BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(crate::detect::hex(&bytes))
}
