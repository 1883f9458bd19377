//! Neighbouring blocks that are fetched by one GET, and those who wait for them.

use bytes::Bytes;
use tokio::sync::watch;

use super::super::ObjectError;

/// A fetch under way. Blocks arrive in order; whoever waits for one sees it as soon as it is whole.
#[derive(Debug)]
pub(super) struct Run {
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    arrived: Vec<Bytes>,
    failure: Option<ObjectError>,
}

impl Run {
    pub(super) fn new() -> Self {
        Self { state: watch::Sender::new(State::default()) }
    }

    pub(super) fn arrive(&self, block: Bytes) {
        self.state.send_modify(|state| state.arrived.push(block));
    }

    pub(super) fn fail(&self, failure: ObjectError) {
        self.state.send_modify(|state| state.failure = Some(failure));
    }

    /// The block at `position` of the run, once it has arrived.
    pub(super) async fn block(&self, position: usize) -> Result<Bytes, ObjectError> {
        let mut state = self.state.subscribe();
        let state = state
            .wait_for(|state| position < state.arrived.len() || state.failure.is_some())
            .await
            .expect("the run that is borrowed here holds the sender");
        match (state.arrived.get(position), &state.failure) {
            (Some(block), _) => Ok(block.clone()),
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) => unreachable!("one of the two was waited for"),
        }
    }
}
