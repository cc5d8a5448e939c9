//! A case: one fact, its requirements, and the function that tests it. The facts are in
//! [`crate::cases`].

use std::fmt;

use rt_protocol::{Capabilities, Capability};

use crate::{Group, Need, TestContext, Verdict};

/// One fact that holds for every backend with the capabilities that the case requires.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    group: Group,
    capabilities: Capabilities,
    needs: &'static [Need],
    core: bool,
    unstarted: bool,
    run: fn(&TestContext<'_>) -> Verdict,
}

impl Case {
    pub(crate) const fn new(name: &'static str, group: Group, run: fn(&TestContext<'_>) -> Verdict) -> Self {
        Self {
            name,
            group,
            capabilities: Capabilities::none(),
            needs: &[],
            core: false,
            unstarted: false,
            run,
        }
    }

    /// Requires these capabilities of the backend.
    pub(crate) const fn can(mut self, capabilities: &[Capability]) -> Self {
        let mut place = 0;
        while place < capabilities.len() {
            self.capabilities = self.capabilities.with(capabilities[place]);
            place += 1;
        }
        self
    }

    /// Requires these needs of the fixture.
    pub(crate) const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// Adds the case to the list for guests that can only exec.
    pub(crate) const fn core(mut self) -> Self {
        self.core = true;
        self
    }

    /// Marks a case about commands that cannot be started.
    pub(crate) const fn unstarted(mut self) -> Self {
        self.unstarted = true;
        self
    }

    /// Returns the fact, with its group before the colon: `exec: a non-zero exit is data`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the part of the contract that the case belongs to.
    pub const fn group(&self) -> Group {
        self.group
    }

    /// Returns the capabilities that the backend must have.
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Returns what the fixture must offer.
    pub const fn fixture_needs(&self) -> &'static [Need] {
        self.needs
    }

    /// Returns whether the case is one of [`core()`](crate::core()).
    pub const fn is_core(&self) -> bool {
        self.core
    }

    pub(crate) const fn is_unstarted(&self) -> bool {
        self.unstarted
    }

    pub(crate) fn call(&self, context: &TestContext<'_>) -> Verdict {
        (self.run)(context)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}
