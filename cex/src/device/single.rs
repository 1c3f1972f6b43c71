//! The engine that does one request after the other, with aws-lc's own constant-time code.

use super::{Engine, Job, OperandFault, Output, Results, Work};

/// One at a time.
#[derive(Debug)]
pub(crate) struct Single;

impl Single {
    pub(crate) fn execute_one(job: &Job) -> Result<Output, OperandFault> {
        let result = match &job.work {
            Work::Block(block) => job.key.exponentiate(block),
            Work::Sign(scheme, digest) => job.key.sign(*scheme, digest),
        };
        result.map(Output::unchecked).map_err(|_| OperandFault)
    }
}

impl Engine for Single {
    fn name(&self) -> &'static str {
        "single"
    }

    fn batch(&self) -> usize {
        1
    }

    fn execute(&mut self, jobs: &[Job], results: &mut Results) {
        results.extend(jobs.iter().map(Self::execute_one));
    }
}
