//! The API server: connect, discover, apply, watch, lock, ledger. The only room that talks to it.
