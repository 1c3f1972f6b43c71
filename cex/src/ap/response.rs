//! Response codes and the status word of the AP instructions.
//!
//! The numbers are those of the architecture and never change. This module names them; what a
//! code means for a request is decided in `ap::queue` and `zcrypt::error`.

use std::fmt;

macro_rules! response_codes {
    ($($value:literal $name:ident $text:literal,)*) => {
        /// Response code of an AP instruction (bits 8-15 of the status word).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ResponseCode {
            $(#[doc = $text] $name = $value,)*
        }

        impl ResponseCode {
            /// Every code of the table, in ascending order.
            pub const ALL: &'static [ResponseCode] = &[$(ResponseCode::$name,)*];

            /// The code with this number, if the architecture has one.
            pub fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($value => Some(ResponseCode::$name),)*
                    _ => None,
                }
            }

            /// What the code says, in a few words.
            pub fn text(self) -> &'static str {
                match self {
                    $(ResponseCode::$name => $text,)*
                }
            }
        }
    };
}

response_codes! {
    0x00 Normal "normal completion",
    0x01 QueueNotAvailable "queue not available",
    0x02 ResetInProgress "reset in progress",
    0x03 Deconfigured "card deconfigured",
    0x04 Checkstopped "card checkstopped",
    0x05 Busy "busy",
    0x06 InvalidAddress "invalid address",
    0x07 OtherwiseChanged "otherwise changed",
    0x08 InvalidGisa "invalid guest interruption state area",
    0x09 BoundToOther "queue bound to another",
    0x0A StateChangeInProgress "state change in progress",
    0x0B NotBound "queue not bound",
    0x10 QueueFullOrNoReply "queue full, or no pending reply",
    0x11 IndexTooBig "index too big",
    0x13 NoFirstPart "no first part of the message",
    0x15 MessageTooBig "message too big",
    0x16 FacilityNotInstalled "required facility not installed",
    0x30 BindError "bind error",
    0x31 NotAvailableForAssociation "not available for association",
    0x32 NotEmpty "queue not empty",
    0x33 BindLimitExceeded "bind limit exceeded",
    0x34 InvalidAssociationSecret "invalid association secret",
    0x35 SecretNotUnique "association secret not unique",
    0x36 AssociationFailed "association failed",
    0x42 InvalidDomain "invalid domain",
}

impl ResponseCode {
    /// The architected number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AP response code {:02X} ({})", self.number(), self.text())
    }
}

/// The 32-bit AP status word. Bit 0 is the most significant one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StatusWord(u32);

const QUEUE_EMPTY: u32 = 1 << 31;
const REPLIES_WAITING: u32 = 1 << 30;
const QUEUE_FULL: u32 = 1 << 29;
const IRQ_ENABLED: u32 = 1 << 24;
const RESPONSE_SHIFT: u32 = 16;

impl StatusWord {
    /// A status word with a response code and no flag.
    pub fn new(code: ResponseCode) -> Self {
        Self(u32::from(code.number()) << RESPONSE_SHIFT)
    }

    fn with(self, bit: u32, on: bool) -> Self {
        if on { Self(self.0 | bit) } else { self }
    }

    /// Sets the flag "queue empty" (bit 0).
    #[must_use]
    pub fn with_queue_empty(self, on: bool) -> Self {
        self.with(QUEUE_EMPTY, on)
    }

    /// Sets the flag "replies waiting" (bit 1).
    #[must_use]
    pub fn with_replies_waiting(self, on: bool) -> Self {
        self.with(REPLIES_WAITING, on)
    }

    /// Sets the flag "queue full" (bit 2).
    #[must_use]
    pub fn with_queue_full(self, on: bool) -> Self {
        self.with(QUEUE_FULL, on)
    }

    /// Sets the flag "interrupts enabled" (bit 7).
    #[must_use]
    pub fn with_irq_enabled(self, on: bool) -> Self {
        self.with(IRQ_ENABLED, on)
    }

    /// Neither requests nor replies are in the queue.
    pub fn queue_empty(self) -> bool {
        self.0 & QUEUE_EMPTY != 0
    }

    /// At least one reply can be dequeued.
    pub fn replies_waiting(self) -> bool {
        self.0 & REPLIES_WAITING != 0
    }

    /// No slot is free.
    pub fn queue_full(self) -> bool {
        self.0 & QUEUE_FULL != 0
    }

    /// The queue announces replies by an interrupt.
    pub fn irq_enabled(self) -> bool {
        self.0 & IRQ_ENABLED != 0
    }

    /// The response code; a number outside the table reads as "otherwise changed".
    pub fn response(self) -> ResponseCode {
        let [_, code, _, _] = self.0.to_be_bytes();
        ResponseCode::from_number(code).unwrap_or(ResponseCode::OtherwiseChanged)
    }

    /// The word as the hardware stores it.
    pub fn word(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({:08x}, {})", self.0, self.response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_architecture() {
        assert_eq!(ResponseCode::ALL.len(), 25);
        for code in ResponseCode::ALL {
            assert_eq!(ResponseCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(ResponseCode::InvalidDomain.number(), 0x42);
        assert_eq!(ResponseCode::QueueFullOrNoReply.number(), 0x10);
        assert_eq!(ResponseCode::from_number(0x0C), None);
    }

    #[test]
    fn flags_stand_at_their_bits() {
        let status = StatusWord::new(ResponseCode::Checkstopped)
            .with_queue_empty(true)
            .with_queue_full(true)
            .with_irq_enabled(true);
        assert_eq!(status.word(), 0xA104_0000);
        assert!(status.queue_empty() && status.queue_full() && status.irq_enabled());
        assert!(!status.replies_waiting());
        assert_eq!(status.response(), ResponseCode::Checkstopped);
        assert_eq!(
            StatusWord::new(ResponseCode::Normal).with_replies_waiting(true).word(),
            1 << 30
        );
    }
}
