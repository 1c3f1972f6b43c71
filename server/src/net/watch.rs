//! What wakes an event loop, and what can wait until it is awake.
//!
//! Purpose: every waking has its price, for the loop and for a card that is pushed aside. In a
//! storm of handshakes, whose signatures take cards milliseconds, a hello that is read half a
//! millisecond later is signed no later, and several are read together for the price of one waking.
//! Bytes of a conversation that is under way must not wait for that; those of streams may gather
//! (`streams`).
//!
//! How: there are two epoll instances. The urgent one watches the waker of the member and
//! conversations; the common one watches everything else, and the urgent one. A loop that can wait
//! waits for the urgent one alone, for a moment; then, as always, it looks at both.
//!
//! Invariants: a socket is watched by one of them; nothing urgent waits; the rest waits for the
//! moment at most.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::event::{PollFd, PollFlags};
use rustix::time::Timespec;

const EVENTS_PER_POLL: usize = 1024;
/// The urgent instance, as the common one sees it.
const URGENT: Token = Token(usize::MAX);

/// The two epoll instances of an event loop.
#[derive(Debug)]
pub struct Watch {
    common: Poll,
    urgent: Poll,
}

/// What a wait has found.
#[derive(Debug)]
pub struct News {
    common: Events,
    urgent: Events,
}

impl News {
    /// Room for the events of a turn.
    #[must_use]
    pub fn with_room() -> Self {
        let events = || Events::with_capacity(EVENTS_PER_POLL);
        Self { common: events(), urgent: events() }
    }

    /// The events, urgent ones first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        let common = self.common.iter().filter(|event| event.token() != URGENT);
        self.urgent.iter().chain(common)
    }
}

impl Watch {
    /// The last token that is free for sources of [`Self::common`].
    pub const LAST_TOKEN: usize = usize::MAX - 1;

    /// Both instances, with nothing to watch.
    ///
    /// # Errors
    ///
    /// When the system has no epoll for them.
    pub fn new() -> io::Result<Self> {
        let (common, urgent) = (Poll::new()?, Poll::new()?);
        let mut inner = SourceFd(&urgent.as_raw_fd());
        common.registry().register(&mut inner, URGENT, Interest::READABLE)?;
        Ok(Self { common, urgent })
    }

    /// Where sources are registered that may wait for a moment.
    #[must_use]
    pub fn common(&self) -> &Registry {
        self.common.registry()
    }

    /// Where sources are registered that wake the loop at once.
    #[must_use]
    pub fn urgent(&self) -> &Registry {
        self.urgent.registry()
    }

    /// Waits for events, for `timeout` at most; what is not urgent can wait for a `moment`, which
    /// may be none. If nothing at all has come in it, whatever comes next ends the wait. Tells
    /// whether something came in the moment, where there was one that nothing urgent cut short.
    ///
    /// # Errors
    ///
    /// When epoll fails. A signal is no error.
    pub fn wait(
        &mut self,
        news: &mut News,
        timeout: Option<Duration>,
        moment: Duration,
    ) -> io::Result<Option<bool>> {
        let moment = timeout.map_or(moment, |timeout| timeout.min(moment));
        if moment.is_zero() {
            self.poll(news, timeout)?;
            return Ok(None);
        }
        let mut urgent = [PollFd::new(self.urgent.registry(), PollFlags::IN)];
        // However this ends, what has happened is seen below.
        let _ = rustix::event::poll(&mut urgent, Timespec::try_from(moment).ok().as_ref());
        self.poll(news, Some(Duration::ZERO))?;
        if news.common.is_empty() {
            self.poll(news, timeout.map(|timeout| timeout.saturating_sub(moment)))?;
            return Ok(Some(false));
        }
        Ok(news.common.iter().any(|event| event.token() != URGENT).then_some(true))
    }

    /// Both instances: the common one tells of the urgent one, too.
    fn poll(&mut self, news: &mut News, timeout: Option<Duration>) -> io::Result<()> {
        news.urgent.clear();
        uninterrupted(self.common.poll(&mut news.common, timeout))?;
        if news.common.iter().any(|event| event.token() == URGENT) {
            uninterrupted(self.urgent.poll(&mut news.urgent, Some(Duration::ZERO)))?;
        }
        Ok(())
    }
}

fn uninterrupted(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::Interrupted { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use mio::Waker;
    use mio::net::UnixStream;

    use super::*;

    const NONE: Duration = Duration::ZERO;
    const MOMENT: Duration = Duration::from_micros(500);
    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    /// What a wait finds.
    fn wait(watch: &mut Watch, timeout: Option<Duration>, moment: Duration) -> Vec<usize> {
        let mut news = News::with_room();
        watch.wait(&mut news, timeout, moment).unwrap();
        news.events().map(|event| event.token().0).collect()
    }

    /// A watched socket, and what makes it readable.
    fn source(registry: &Registry, token: usize) -> (UnixStream, UnixStream) {
        let (mut watched, other) = UnixStream::pair().unwrap();
        registry.register(&mut watched, Token(token), Interest::READABLE).unwrap();
        (watched, other)
    }

    fn poke(stream: &mut UnixStream) {
        use std::io::Write as _;
        stream.write_all(b"x").unwrap();
    }

    #[test]
    fn both_instances_wake_a_loop_and_what_is_urgent_comes_first() {
        let mut watch = Watch::new().unwrap();
        let (_common, mut to_common) = source(watch.common(), 1);
        let (_urgent, mut to_urgent) = source(watch.urgent(), 2);
        poke(&mut to_common);
        assert_eq!(wait(&mut watch, LONG, NONE), [1]);
        poke(&mut to_urgent);
        assert_eq!(wait(&mut watch, LONG, NONE), [2]);
        poke(&mut to_common);
        poke(&mut to_urgent);
        assert_eq!(wait(&mut watch, LONG, NONE), [2, 1]);
        let again = wait(&mut watch, Some(Duration::ZERO), NONE);
        assert!(again.is_empty(), "what was told is not told again");
    }

    #[test]
    fn who_is_in_no_hurry_still_gets_everything_after_a_moment() {
        let mut watch = Watch::new().unwrap();
        let (_common, mut to_common) = source(watch.common(), 1);
        poke(&mut to_common);
        assert_eq!(wait(&mut watch, LONG, MOMENT), [1]);
        // Of what comes after the moment, too, and without an end of the wait before.
        let later = std::thread::spawn(move || {
            std::thread::sleep(20 * MOMENT);
            poke(&mut to_common);
            to_common
        });
        assert_eq!(wait(&mut watch, None, MOMENT), [1]);
        drop(later.join().unwrap());
        let begin = Instant::now();
        let short = Some(3 * MOMENT);
        let _ = wait(&mut watch, short, MOMENT);
        assert!(wait(&mut watch, short, MOMENT).is_empty());
        assert!(begin.elapsed() >= 3 * MOMENT);
    }

    #[test]
    fn a_wait_tells_whether_its_moment_was_in_vain() {
        let (mut watch, mut news) = (Watch::new().unwrap(), News::with_room());
        let (_common, mut to_common) = source(watch.common(), 1);
        let short = Some(3 * MOMENT);
        assert_eq!(watch.wait(&mut news, short, MOMENT).unwrap(), Some(false));
        poke(&mut to_common);
        assert_eq!(watch.wait(&mut news, short, MOMENT).unwrap(), Some(true));
        let (_urgent, mut to_urgent) = source(watch.urgent(), 2);
        poke(&mut to_urgent);
        assert_eq!(watch.wait(&mut news, short, MOMENT).unwrap(), None, "cut short");
        assert_eq!(watch.wait(&mut news, short, NONE).unwrap(), None);
        assert_eq!(watch.wait(&mut news, Some(Duration::ZERO), MOMENT).unwrap(), None);
    }

    #[test]
    fn an_urgent_source_ends_the_wait_of_who_is_in_no_hurry() {
        let mut watch = Watch::new().unwrap();
        let waker = Waker::new(watch.urgent(), Token(3)).unwrap();
        for _ in 0..3 {
            waker.wake().unwrap();
            assert_eq!(wait(&mut watch, LONG, MOMENT), [3]);
        }
    }

    #[test]
    fn a_source_may_become_urgent_and_cease_to_be_with_news_under_way() {
        let mut watch = Watch::new().unwrap();
        let (mut stream, mut other) = source(watch.common(), 4);
        poke(&mut other);
        watch.common().deregister(&mut stream).unwrap();
        watch.urgent().register(&mut stream, Token(4), Interest::READABLE).unwrap();
        assert_eq!(wait(&mut watch, LONG, MOMENT), [4]);
        poke(&mut other);
        watch.urgent().deregister(&mut stream).unwrap();
        watch.common().register(&mut stream, Token(4), Interest::READABLE).unwrap();
        assert_eq!(wait(&mut watch, LONG, MOMENT), [4]);
    }
}
