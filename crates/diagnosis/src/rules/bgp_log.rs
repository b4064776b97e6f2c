//! What an agent's log says about one BGP peer. gobgp logs the start and end of each session,
//! and each new connection attempt, but not why an attempt failed.

use super::facts::{between, cut};

/// The state of a peer by the last lines about it; each with its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeerLog {
    /// The log has no line about it.
    Silent,
    /// The session is up.
    Up(String),
    /// It was up, and the peer stopped answering.
    Vanished(String),
    /// The peer accepts connections, and closes each before the session is established.
    Refused(String),
}

/// An agent logs an attempt at startup and after a session's end, and again only after a connection
/// was opened: other retries are not logged.
const CALLS_OF_WHO_IS_REFUSED: usize = 2;

/// How a router ended or rejected a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It stopped answering.
    Silently,
    /// It accepts connections, and closes each before the session is established, as with a wrong
    /// AS number.
    Refused,
}

/// What an agent's log says about a router without a session; none if it says nothing.
pub fn ended(log: &str, router: &str) -> Option<Ended> {
    match of(log, router) {
        PeerLog::Vanished(_) => Some(Ended::Silently),
        PeerLog::Refused(_) => Some(Ended::Refused),
        PeerLog::Silent | PeerLog::Up(_) => None,
    }
}

pub(super) fn of(log: &str, address: &str) -> PeerLog {
    let (mut state, mut calls) = (PeerLog::Silent, 0);
    for line in log.lines().filter(|line| is_about(line, address)) {
        match between(line, "msg=\"", "\"").unwrap_or_default() {
            "Peer Up" => (state, calls) = (PeerLog::Up(cut(line.trim())), 0),
            "hold timer expired" => (state, calls) = (PeerLog::Vanished(cut(line.trim())), 0),
            "Peer Down" if !matches!(state, PeerLog::Vanished(_)) => (state, calls) = (PeerLog::Silent, 0),
            "starting outgoing connection manager" => {
                calls += 1;
                if calls >= CALLS_OF_WHO_IS_REFUSED {
                    state = PeerLog::Refused(format!(
                        "{calls} connections were opened without a session: {}",
                        cut(line.trim())
                    ));
                }
            }
            _ => {}
        }
    }
    state
}

fn is_about(line: &str, address: &str) -> bool {
    line.split_whitespace()
        .any(|word| word.strip_prefix("Key=").is_some_and(|key| key.trim_matches('"') == address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(messages: &[&str]) -> PeerLog {
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
    fn the_last_log_messages_about_a_peer_count() {
        const CALL: &str = "starting outgoing connection manager";
        assert_eq!(told(&[]), PeerLog::Silent);
        assert_eq!(told(&["Add a peer configuration", CALL]), PeerLog::Silent);
        assert!(matches!(told(&[CALL, "Peer Up"]), PeerLog::Up(_)));
        assert_eq!(told(&[CALL, "Peer Up", "received notification", "Peer Down", CALL]), PeerLog::Silent);
        assert!(matches!(told(&["Peer Up", "Peer Down", CALL, CALL, CALL]), PeerLog::Refused(_)));
        assert!(matches!(told(&[CALL, CALL]), PeerLog::Refused(_)));
        assert!(matches!(told(&[CALL, CALL, "Peer Up"]), PeerLog::Up(_)));
        let gone = ["Peer Up", "hold timer expired", "sent notification", "Peer Down", CALL];
        assert!(matches!(told(&gone), PeerLog::Vanished(_)));
        // It is back, and rejects sessions.
        assert!(matches!(told(&[&gone[..], &[CALL]].concat()), PeerLog::Refused(_)));
        assert_eq!(
            told(&["Peer Up", "hold timer expired", "Peer Down", CALL, "Peer Up", "Peer Down"]),
            PeerLog::Silent
        );
    }
}
