//! What a *simulated* card does with a message: decode, find the key, compute, encode.
//!
//! * [`worker`]: one thread for each card, serving its domains round robin;
//! * [`single`]: the engine that does one request after the other;
//! * [`batch`]: the engine that does up to four RSA requests of one size in vector lanes;
//! * [`pad`]: the padding of requests in digest form that go into a batch;
//! * [`raw_rsa`]: raw RSA over aws-lc-sys; unsafe, as are the vector kernels of `batch`.
//!
//! An [`Engine`] gets up to [`Engine::batch`] requests of one shape at once. There is no timer: an
//! engine that is free takes what is there.

pub(crate) mod batch;
pub(crate) mod courtesy;
mod pad;
pub(crate) mod raw_rsa;
pub(crate) mod single;
pub(crate) mod worker;

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Error;
use crate::config::{CardConfig, CardType, EngineChoice};
use crate::key::{KeyStore, Private};
use crate::msg::{self, Operation, ReplyCode, type6, type50};
use crate::request::{Digest, Scheme};

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// One decoded request, ready for an engine.
pub(crate) struct Job {
    key: Arc<Private>,
    work: Work,
}

enum Work {
    /// A block of the length of the modulus.
    Block(Vec<u8>),
    Sign(Scheme, Digest),
}

impl Job {
    /// Jobs of one shape may be executed together: the length of the modulus, 0 for ECDSA.
    fn shape(&self) -> usize {
        self.key.modulus_len().unwrap_or(0)
    }
}

/// A private-key operation failed: the key cannot do it, or the value is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OperandFault;

/// The result of a private-key operation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    /// The engine has given the result to the public key and got the block back.
    pub(crate) checked: bool,
}

impl Output {
    /// One that the host has to check.
    fn unchecked(bytes: Vec<u8>) -> Self {
        Self { bytes, checked: false }
    }
}

/// One result for each job, in the order of the jobs.
pub(crate) type Results = Vec<Result<Output, OperandFault>>;

/// What computes.
pub(crate) trait Engine: Send {
    /// Name for tables.
    fn name(&self) -> &'static str;

    /// Most jobs that [`Self::execute`] wants at once.
    fn batch(&self) -> usize;

    /// Counters of an engine that does several jobs together.
    fn tally(&self) -> Option<Arc<batch::Tally>> {
        None
    }

    /// Executes jobs of one shape and appends their results.
    fn execute(&mut self, jobs: &[Job], results: &mut Results);
}

/// What is known of a card's engine outside its thread.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) name: &'static str,
    pub(crate) tally: Option<Arc<batch::Tally>>,
}

impl From<&dyn Engine> for Fitted {
    fn from(engine: &dyn Engine) -> Self {
        Self { name: engine.name(), tally: engine.tally() }
    }
}

/// The engine that a card is to have. `unit` is the vector unit of this processor.
pub(crate) fn engine(
    card: &CardConfig,
    unit: Option<batch::Unit>,
) -> Result<Box<dyn Engine>, Error> {
    match (card.engine, unit) {
        (EngineChoice::Auto, Some(unit)) => Ok(Box::new(batch::Batch::new(unit, false))),
        (EngineChoice::Batch, Some(unit)) => Ok(Box::new(batch::Batch::new(unit, true))),
        (EngineChoice::Batch, None) => Err(Error::NoBatchEngine { card: card.id }),
        (EngineChoice::Auto, None) | (EngineChoice::Single, _) => Ok(Box::new(single::Single)),
    }
}

/// A card of this type does not know the message type.
fn serves(kind: CardType, operation: &Operation<'_>) -> bool {
    matches!(
        (kind, operation),
        (CardType::Cex8A, Operation::Block { .. }) | (CardType::Cex8C, Operation::Sign { .. })
    )
}

/// Decodes a message and finds its key. The error is the reply to put.
pub(crate) fn accept(kind: CardType, keys: &KeyStore, message: &[u8]) -> Result<Job, Vec<u8>> {
    let operation = msg::decode_request(message).map_err(msg::encode_error)?;
    if !serves(kind, &operation) {
        return Err(msg::encode_error(ReplyCode::MESSAGE_TYPE));
    }
    match operation {
        Operation::Block { handle, field } => {
            let key = keys.find(handle).ok_or_else(|| refusal(kind))?;
            let len = key.modulus_len().ok_or_else(|| msg::encode_error(ReplyCode::KEY_TYPE))?;
            let lead = field
                .len()
                .checked_sub(len)
                .ok_or_else(|| msg::encode_error(ReplyCode::MESSAGE_LENGTH))?;
            let (zeros, block) = field.split_at(lead);
            if zeros.iter().any(|byte| *byte != 0) {
                return Err(msg::encode_error(ReplyCode::OPERAND_SIZE));
            }
            Ok(Job { key, work: Work::Block(block.to_vec()) })
        }
        Operation::Sign { handle, scheme, digest } => {
            let key = keys.find(handle).ok_or_else(|| refusal(kind))?;
            Ok(Job { key, work: Work::Sign(scheme, digest) })
        }
    }
}

/// The reply to a request whose key or operand cannot be used.
fn refusal(kind: CardType) -> Vec<u8> {
    match kind {
        CardType::Cex8A => msg::encode_error(ReplyCode::OPERAND_INVALID),
        // Return code 8, reason code 66: the key or the operand is not valid for the service.
        CardType::Cex8C => type6::encode_refusal(8, 66),
    }
}

/// The reply to an executed job.
pub(crate) fn answer(kind: CardType, result: Result<Vec<u8>, OperandFault>) -> Vec<u8> {
    match (kind, result) {
        (CardType::Cex8A, Ok(result)) => type50::encode_reply(&result),
        (CardType::Cex8C, Ok(result)) => type6::encode_reply(&result),
        (_, Err(OperandFault)) => refusal(kind),
    }
}

#[cfg(test)]
mod tests;
