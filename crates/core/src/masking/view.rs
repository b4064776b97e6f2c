//! A text as it reads once an encoding is taken off, with the places that its bytes come from.

use std::borrow::Cow;
use std::ops::Range;

/// Bytes, and where in the text each begins and ends.
pub(super) struct View<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// None for the text itself.
    places: Option<Vec<(u32, u32)>>,
}

impl<'a> View<'a> {
    /// The text itself.
    pub(super) fn raw(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), places: None }
    }

    /// Where in the text a range comes from.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        let Some(places) = &self.places else { return range };
        let at = |index: usize| places.get(index).copied().unwrap_or_default();
        if range.is_empty() {
            return at(range.start).0 as usize..at(range.start).0 as usize;
        }
        at(range.start).0 as usize..at(range.end - 1).1 as usize
    }
}

/// A view in the making.
pub(super) struct Decoder<'a> {
    of: &'a View<'a>,
    bytes: Vec<u8>,
    places: Vec<(u32, u32)>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(of: &'a View<'a>) -> Self {
        Self { of, bytes: Vec::new(), places: Vec::new() }
    }

    /// A byte that stands for `from` of what is decoded.
    pub(super) fn push(&mut self, byte: u8, from: Range<usize>) {
        let place = self.of.place(from);
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.bytes.push(byte);
        self.places.push((number(place.start), number(place.end)));
    }

    /// What comes next is no continuation of what was.
    pub(super) fn separate(&mut self, at: usize) {
        if self.bytes.last().is_some_and(|last| *last != b'\n') {
            self.push(b'\n', at..at);
        }
    }

    pub(super) fn view(self) -> Option<View<'static>> {
        (!self.bytes.is_empty()).then_some(View { bytes: Cow::Owned(self.bytes), places: Some(self.places) })
    }
}

/// The number that the first `count` bytes are.
pub(super) fn digits(bytes: &[u8], count: usize, radix: u32) -> Option<u32> {
    let digits = bytes.get(..count).filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)
    })
}
