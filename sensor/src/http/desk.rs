//! The way from the listener to the incident database: a few connections on threads of their own. It must never let a slow
//! disk hold up the listener, nor let requests pile up behind one.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{http::StatusCode, response::Response};
use tokio::sync::Semaphore;

use super::pages::problem;
use crate::incidents::{Database, Place, Reader, StoreError};

/// Requests that use the database at once; others wait for their turn.
const SLOTS: usize = 2;

/// Connections to the database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    place: Place,
    idle: Arc<Mutex<Vec<Reader>>>,
    slots: Arc<Semaphore>,
}

impl Desk {
    /// Connections to the database at `place`, opened when they are needed.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            idle: Arc::default(),
            slots: Arc::new(Semaphore::new(SLOTS)),
        }
    }

    /// Does something with the database on a thread of its own; failures are answers.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Response> {
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the sensor ends"));
        };
        let (place, idle) = (self.place.clone(), Arc::clone(&self.idle));
        let outcome = tokio::task::spawn_blocking(move || {
            let held = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut reader = held.unwrap_or_else(|| place.reader());
            let outcome = reader.with(work);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            outcome
        });
        match outcome.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(cause)) => Err(refusal(&cause)),
            Err(cause) => {
                tracing::error!(%cause, "a request for incidents ended early");
                Err(problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "a defect of sensor, please report the line of its log",
                ))
            }
        }
    }
}

fn refusal(cause: &StoreError) -> Response {
    let status = match cause {
        StoreError::Unknown { .. } => StatusCode::NOT_FOUND,
        StoreError::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, &cause.to_string())
}
