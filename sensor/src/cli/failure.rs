//! How errors become exit codes. Every error type that reaches the command line is listed here, once.

use super::exit;
use crate::{
    config,
    flows::FlowsError,
    http::HttpError,
    incidents,
    labels::LabelError,
    metrics::MetricsError,
    model::ModelError,
    probe::ProbeError,
    replay::{ReplayError, stored::StoredError},
    service::privacy_key::KeyError,
    sink::{SinkError, SinksError},
};

/// Why a command ended, for the user, and its exit code.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// Names the thing, the cause and the fix.
    pub message: String,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<config::Problems> for Failure {
    fn from(problems: config::Problems) -> Self {
        Self::new(exit::USAGE, problems.to_string())
    }
}

impl From<ProbeError> for Failure {
    fn from(cause: ProbeError) -> Self {
        Self::new(cause.exit_code(), cause.to_string())
    }
}

impl From<ReplayError> for Failure {
    fn from(cause: ReplayError) -> Self {
        let code = match &cause {
            ReplayError::Capture(_) => exit::INPUT,
            ReplayError::Stored(cause) => stored_code(cause),
            _ => exit::FAILED,
        };
        Self::new(code, cause.to_string())
    }
}

impl From<StoredError> for Failure {
    fn from(cause: StoredError) -> Self {
        Self::new(stored_code(&cause), cause.to_string())
    }
}

fn stored_code(cause: &StoredError) -> u8 {
    match cause {
        StoredError::Flows(cause) => cause.exit_code(),
        _ => exit::USAGE,
    }
}

/// A missing or unusable key is a matter of configuration.
impl From<KeyError> for Failure {
    fn from(cause: KeyError) -> Self {
        Self::new(exit::USAGE, cause.to_string())
    }
}

/// So are outputs that cannot work as they are configured.
impl From<SinksError> for Failure {
    fn from(cause: SinksError) -> Self {
        Self::new(exit::USAGE, cause.to_string())
    }
}

impl From<FlowsError> for Failure {
    fn from(cause: FlowsError) -> Self {
        Self::new(cause.exit_code(), cause.to_string())
    }
}

impl From<LabelError> for Failure {
    fn from(cause: LabelError) -> Self {
        Self::new(exit::INPUT, cause.to_string())
    }
}

impl From<incidents::StoreError> for Failure {
    fn from(cause: incidents::StoreError) -> Self {
        use incidents::StoreError::{Refused, Sqlite, Unknown};
        let code = match cause {
            Unknown { .. } | Refused { .. } => exit::USAGE,
            Sqlite { .. } => exit::FAILED,
            _ => exit::INPUT,
        };
        Self::new(code, cause.to_string())
    }
}

macro_rules! failed_while_working {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(cause: $error) -> Self {
                Self::new(exit::FAILED, cause.to_string())
            }
        })*
    };
}

failed_while_working!(
    HttpError,
    MetricsError,
    ModelError,
    SinkError,
    crate::service::StoreError
);
