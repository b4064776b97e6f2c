//! Events in; live bars, plain lines or JSON lines out.
