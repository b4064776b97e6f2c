//! Input that would take all memory, all disk or for ever.
