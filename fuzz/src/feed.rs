//! The feed of facts that other nodes send.

use platform::feed::{Event, Follower, Frame, FrameReader, WireError};

/// A stream of server-sent events: it reads alike however it is cut, what was read is what is
/// written, and no order of frames confuses a follower.
pub fn feed(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else {
        return;
    };
    let whole = read(stream.chunks(usize::MAX));
    let pieces = read(stream.chunks(usize::from(cut).max(1)));
    assert_eq!(whole, pieces);
    let (frames, _) = whole;

    let mut text = String::new();
    frames.iter().for_each(|frame| frame.write(&mut text));
    let (again, outcome) = read(text.as_bytes().chunks(usize::MAX));
    assert_eq!(outcome, Ok(()));
    let sent = |frame: &&Frame| !matches!(frame, Frame::Fact { event: Err(_), .. });
    assert!(frames.iter().filter(sent).eq(&again));

    let mut follower = Follower::new(None);
    follower.connect();
    for frame in frames {
        if let Frame::Fact { event: Ok(event), .. } = &frame {
            assert_eq!(event.fact.check(), Ok(()));
            assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(event));
        }
        let heard_ms = follower.heard_ms();
        if follower.handle(frame).is_err() {
            assert_eq!(follower.heard_ms(), heard_ms);
            assert_eq!(follower.connect(), None);
        }
    }
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Result<(), WireError>) {
    let (mut reader, mut frames) = (FrameReader::default(), Vec::new());
    for piece in pieces {
        let outcome = reader.read(piece, |frame| {
            frames.push(frame);
            Ok(())
        });
        if outcome.is_err() {
            return (frames, outcome);
        }
    }
    (frames, Ok(()))
}
