//! What an agent's log tells of one BGP peer: gobgp, which agents speak BGP with, says of each session that
//! comes up and ends, and each time that it calls anew; not why a call has failed.

use super::facts::{between, cut};

/// How it stands with a peer, by the last words about it; each with the line that says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// Nothing is told.
    Silent,
    /// The session is up.
    Up(String),
    /// It was up, and the peer was not heard of any more.
    Vanished(String),
    /// The peer takes connections, and ends each before a session comes of it.
    Refused(String),
}

/// An agent calls once after a session's end, or as it starts; and again only where a connection has come
/// up, since it keeps on trying otherwise without a word.
const CALLS_OF_WHO_IS_REFUSED: usize = 2;

/// How a router ended a session, or did not let it come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was not heard of any more.
    Silently,
    /// It takes connections, and ends each before a session comes of it: as it does where it expects another
    /// AS number.
    Refused,
}

/// What an agent's log tells of a router that there is no session with; none if it does not tell.
pub fn ended(log: &str, router: &str) -> Option<Ended> {
    match of(log, router) {
        Story::Vanished(_) => Some(Ended::Silently),
        Story::Refused(_) => Some(Ended::Refused),
        Story::Silent | Story::Up(_) => None,
    }
}

pub(super) fn of(log: &str, address: &str) -> Story {
    let (mut story, mut calls) = (Story::Silent, 0);
    for line in log.lines().filter(|line| is_about(line, address)) {
        match between(line, "msg=\"", "\"").unwrap_or_default() {
            "Peer Up" => (story, calls) = (Story::Up(cut(line.trim())), 0),
            "hold timer expired" => (story, calls) = (Story::Vanished(cut(line.trim())), 0),
            "Peer Down" if !matches!(story, Story::Vanished(_)) => (story, calls) = (Story::Silent, 0),
            "starting outgoing connection manager" => {
                calls += 1;
                if calls >= CALLS_OF_WHO_IS_REFUSED {
                    story = Story::Refused(format!(
                        "{calls} connections came up, and none became a session: {}",
                        cut(line.trim())
                    ));
                }
            }
            _ => {}
        }
    }
    story
}

fn is_about(line: &str, address: &str) -> bool {
    line.split_whitespace()
        .any(|word| word.strip_prefix("Key=").is_some_and(|key| key.trim_matches('"') == address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(messages: &[&str]) -> Story {
        let line = |message: &&str| {
            format!(
                "time=T level=info msg=\"{message}\" module=bgp Topic=Peer Key=10.0.0.1 State=BGP_FSM_IDLE"
            )
        };
        let others = "time=T level=info msg=\"Peer Up\" Topic=Peer Key=10.0.0.11";
        let lines: Vec<String> = messages.iter().map(line).chain([others.to_owned()]).collect();
        of(&lines.join("\n"), "10.0.0.1")
    }

    #[test]
    fn the_last_words_about_a_peer_count() {
        const CALL: &str = "starting outgoing connection manager";
        assert_eq!(told(&[]), Story::Silent);
        assert_eq!(told(&["Add a peer configuration", CALL]), Story::Silent);
        assert!(matches!(told(&[CALL, "Peer Up"]), Story::Up(_)));
        assert_eq!(told(&[CALL, "Peer Up", "received notification", "Peer Down", CALL]), Story::Silent);
        assert!(matches!(told(&["Peer Up", "Peer Down", CALL, CALL, CALL]), Story::Refused(_)));
        assert!(matches!(told(&[CALL, CALL]), Story::Refused(_)));
        assert!(matches!(told(&[CALL, CALL, "Peer Up"]), Story::Up(_)));
        let gone = ["Peer Up", "hold timer expired", "sent notification", "Peer Down", CALL];
        assert!(matches!(told(&gone), Story::Vanished(_)));
        // It is there again, and refuses.
        assert!(matches!(told(&[&gone[..], &[CALL]].concat()), Story::Refused(_)));
        assert_eq!(
            told(&["Peer Up", "hold timer expired", "Peer Down", CALL, "Peer Up", "Peer Down"]),
            Story::Silent
        );
    }
}
