//! How many requests are under way at once. Whoever finds no place is told so at once: a queue would
//! only make everybody late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;

use crate::metrics::Metrics;
use crate::refusal::Refusal;

#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<AtomicUsize>);

/// Kept until the head of the answer is there.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    metrics: Metrics,
}

impl Places {
    /// Takes one of `places_max`.
    ///
    /// # Errors
    /// When all are taken.
    pub(crate) fn take(&self, places_max: usize, metrics: &Metrics) -> Result<Place, Refusal> {
        let running = self.0.fetch_add(1, Ordering::Relaxed);
        metrics.running.inc();
        // From here on dropping it gives it back.
        let place = Place { places: self.clone(), metrics: metrics.clone() };
        if running < places_max {
            return Ok(place);
        }
        metrics.refuse("overloaded");
        let detail = "Too many requests are under way. Try again in a moment.";
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(1))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.fetch_sub(1, Ordering::Relaxed);
        self.metrics.running.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let (places, metrics) = (Places::default(), Metrics::default());
        let first = places.take(2, &metrics).unwrap();
        let _second = places.take(2, &metrics).unwrap();
        assert!(places.take(2, &metrics).is_err());
        drop(first);
        assert!(places.take(2, &metrics).is_ok());
        assert_eq!((places.0.load(Ordering::Relaxed), metrics.running.get()), (1, 1));
    }
}
