//! The numbered events of a run: as many as fit, and where each reader is.

use std::collections::{HashMap, VecDeque};
use tollgate_types::{Result, StreamEvent};

/// What an event takes besides its text, bytes.
const OVERHEAD: usize = 96;

/// An event that is kept.
#[derive(Debug)]
struct Kept {
    event: Result<StreamEvent>,
    bytes: usize,
}

/// What stands at a number.
#[derive(Debug, PartialEq)]
pub(super) enum Look {
    /// An event.
    Event(Box<Result<StreamEvent>>),
    /// Nothing yet.
    Later,
    /// Nothing, for ever.
    Ended,
    /// An event that is not kept any more.
    Gone,
}

/// The numbered events of a run.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Number of the first event that is kept.
    first: u64,
    events: VecDeque<Kept>,
    bytes: usize,
    /// By reader, the number of the event that it gets next.
    readers: HashMap<u64, u64>,
    ended: bool,
}

impl Log {
    /// The number that the next event gets.
    pub(super) fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Number of the first event that is kept.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// What is kept, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an event; the last one is `finish` or an error.
    pub(super) fn push(&mut self, event: Result<StreamEvent>) {
        let bytes = weight(&event);
        self.ended = matches!(event, Err(_) | Ok(StreamEvent::Finish { .. }));
        self.bytes += bytes;
        self.events.push_back(Kept { event, bytes });
    }

    pub(super) fn look(&self, number: u64) -> Look {
        let Some(place) = number.checked_sub(self.first) else { return Look::Gone };
        let kept = usize::try_from(place).ok().and_then(|place| self.events.get(place));
        match kept {
            Some(kept) => Look::Event(Box::new(kept.event.clone())),
            None if self.ended => Look::Ended,
            None => Look::Later,
        }
    }

    /// Makes room by dropping the oldest events that every reader has; without readers none is.
    /// Returns whether there is room for another event.
    pub(super) fn make_room(&mut self, limit: usize) -> bool {
        let read = self.readers.values().min().copied().unwrap_or_default();
        while self.bytes >= limit && self.first < read {
            let Some(dropped) = self.events.pop_front() else { break };
            self.bytes -= dropped.bytes;
            self.first += 1;
        }
        self.bytes < limit
    }

    /// A reader begins at a number, or has moved on to it.
    pub(super) fn place(&mut self, reader: u64, next: u64) {
        self.readers.insert(reader, next);
    }

    pub(super) fn leave(&mut self, reader: u64) {
        self.readers.remove(&reader);
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.len()
    }

    /// All events, one a line, if all are kept and no more than that many bytes.
    pub(super) fn lines(&self, limit: usize) -> Option<String> {
        if self.first > 0 || self.bytes > limit {
            return None;
        }
        let mut lines = String::with_capacity(self.bytes);
        for kept in &self.events {
            let json = match &kept.event {
                Ok(event) => serde_json::to_string(event),
                Err(error) => serde_json::to_string(&StreamEvent::Error { error: error.clone() }),
            };
            lines.push_str(&json.ok()?);
            lines.push('\n');
        }
        Some(lines)
    }
}

/// Events out of lines as they were kept.
///
/// # Errors
/// When a line is no event.
pub(super) fn of_lines(lines: &str) -> serde_json::Result<Vec<Result<StreamEvent>>> {
    let event = |line| match serde_json::from_str(line)? {
        StreamEvent::Error { error } => Ok(Err(error)),
        event => Ok(Ok(event)),
    };
    lines.lines().map(event).collect()
}

/// About what an event takes, bytes.
fn weight(event: &Result<StreamEvent>) -> usize {
    let text = match event {
        Ok(StreamEvent::PartDelta { delta, logprobs, .. }) => delta.len() + 128 * logprobs.len(),
        Ok(StreamEvent::PartStart { part, .. }) => json_len(part),
        Ok(event @ (StreamEvent::Raw { .. } | StreamEvent::PartEnd { .. })) => json_len(event),
        _ => 512,
    };
    text + OVERHEAD
}

fn json_len(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_types::{Error, ErrorKind};

    fn delta(text: &str) -> Result<StreamEvent> {
        Ok(StreamEvent::delta(0, text))
    }

    fn of(number: usize) -> Log {
        let mut log = Log::default();
        (0..number).for_each(|n| log.push(delta(&n.to_string())));
        log
    }

    #[test]
    fn a_number_is_an_event_now_later_or_never() {
        let mut log = of(2);
        assert_eq!(log.look(1), Look::Event(Box::new(delta("1"))));
        assert_eq!(log.look(2), Look::Later);
        log.push(Err(Error::new(ErrorKind::Upstream, "broke")));
        assert_eq!(log.look(3), Look::Ended);
        assert_eq!(log.look(u64::MAX), Look::Ended);
    }

    #[test]
    fn only_what_every_reader_has_is_dropped_for_room() {
        let mut log = of(10);
        let all = log.bytes();
        assert!(!log.make_room(all), "nobody reads, so nothing is dropped");
        log.place(1, 4);
        log.place(2, 2);
        assert!(log.make_room(all));
        assert_eq!(log.first(), 1, "no more than needed");
        assert!(!log.make_room(1));
        assert_eq!((log.first(), log.next()), (2, 10));
        assert_eq!(log.look(1), Look::Gone);
        log.leave(2);
        assert!(!log.make_room(1));
        assert_eq!(log.first(), 4);
        assert_eq!(log.lines(usize::MAX), None, "the beginning is gone");
    }

    #[test]
    fn what_is_kept_reads_back() {
        let mut log = of(3);
        log.push(delta("line\nand \0 and \u{1F980}"));
        log.push(Err(Error::new(ErrorKind::Upstream, "broke")));
        let lines = log.lines(usize::MAX).unwrap();
        let back = of_lines(&lines).unwrap();
        assert_eq!(back.len(), 5);
        for (number, event) in (0..).zip(back) {
            assert_eq!(log.look(number), Look::Event(Box::new(event)));
        }
        assert_eq!(log.lines(10), None, "too much");
        assert!(of_lines("{\"type\":\"fin").is_err());
    }
}
