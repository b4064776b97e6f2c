//! The bootstrap as data: `tasks/*.yaml`, typed, loaded and selected.
