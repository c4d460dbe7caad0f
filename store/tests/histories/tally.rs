//! What happened in many histories: where nothing does, nothing is proven.

use std::fmt;
use std::ops::AddAssign;

/// Fewer histories may have been spared something.
const ENOUGH: u64 = 100;

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct Tally { $($(#[$doc])* pub(crate) $name: u64),+ }

        impl AddAssign for Tally {
            fn add_assign(&mut self, other: Tally) {
                $(self.$name += other.$name;)+
            }
        }

        impl fmt::Display for Tally {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let counts = [$((stringify!($name), self.$name)),+];
                let words = counts.map(|(name, count)| format!("{count} {}", name.replace('_', " ")));
                f.write_str(&words.join(", "))
            }
        }
    };
}

tally! {
    histories,
    steps,
    offers,
    taken,
    /// Neither applied nor without an answer.
    told_otherwise,
    unanswered,
    commits,
    checkpoints,
    compactions,
    crashes,
    restarts,
    troubles,
    reopened,
    questions,
    readers,
    /// Asked of readers that began in an earlier step.
    held_questions,
    /// Asked while offers were on their way.
    glimpses,
    /// Of these, told from a state that neither the step began nor ended with.
    glimpses_between,
}

impl Tally {
    /// On the memory twin, for each history on average: about a third of what there is.
    pub(crate) fn too_rare(&self) -> Vec<&'static str> {
        let wanted = [
            ("taken", self.taken, 25.0),
            ("told otherwise", self.told_otherwise, 4.0),
            ("unanswered", self.unanswered, 0.5),
            ("checkpoints", self.checkpoints, 3.0),
            ("compactions", self.compactions, 0.3),
            ("crashes", self.crashes, 0.7),
            ("restarts", self.restarts, 0.3),
            ("troubles", self.troubles, 0.3),
            ("reopened", self.reopened, 0.02),
            ("held questions", self.held_questions, 2.0),
            ("glimpses", self.glimpses, 2.0),
            ("glimpses between", self.glimpses_between, 0.2),
        ];
        let is_rare = |count: u64, each: f64| (count as f64) < each * self.histories as f64;
        let rare = wanted.into_iter().filter(|(_, count, each)| is_rare(*count, *each));
        if self.histories < ENOUGH { Vec::new() } else { rare.map(|(name, ..)| name).collect() }
    }
}
