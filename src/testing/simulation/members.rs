//! The plan by which the members of a run change: spare machines, the commands of operators, and
//! the weights of their kinds.

use rand::RngExt;
use rand::rngs::StdRng;

/// A step of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A spare machine becomes a voter.
    Add,
    /// A spare machine becomes a learner, and stays one.
    AddLearner,
    /// A server is added that is not there: its addresses are mistyped.
    AddMistyped,
    /// A member is removed.
    Remove,
    /// The leader is removed.
    RemoveLeader,
    /// A spare machine takes the place of a member.
    Replace,
    /// A learner becomes a voter.
    Promote,
    /// A voter becomes a learner.
    Demote,
    /// The change under way is taken back.
    Cancel,
    /// A machine comes back at another port.
    Move,
    /// All machines come back at other ports, with new files.
    MoveAll,
    /// Another node is to lead.
    Transfer,
    /// A server is drained, or is no longer.
    Drain,
    /// A learner loses its disk.
    WipeLearner,
}

/// All steps with their usual weights.
const STEPS: &[(Step, u32)] = &[
    (Step::Add, 12),
    (Step::AddLearner, 5),
    (Step::AddMistyped, 3),
    (Step::Remove, 10),
    (Step::RemoveLeader, 8),
    (Step::Replace, 10),
    (Step::Promote, 8),
    (Step::Demote, 8),
    (Step::Cancel, 8),
    (Step::Move, 5),
    (Step::MoveAll, 1),
    (Step::Transfer, 10),
    (Step::Drain, 5),
    (Step::WipeLearner, 3),
];

/// The plan of the members.
#[derive(Clone, Debug)]
pub struct MembersPlan {
    /// The number of spare machines. They have the ids after those of the founders.
    pub spares: u64,
    /// The number of operators that do not know of each other.
    pub operators: u64,
    /// The longest pause between two steps of an operator, in milliseconds.
    pub pause_ms_max: u64,
    /// The steps with their weights; 0 for those that this seed does not have.
    pub steps: Vec<(Step, u32)>,
    /// The probability of a crash just after a change has begun.
    pub crash_probability: f64,
}

impl MembersPlan {
    /// Draws the plan of a seed. In two of five seeds the members stay as they are.
    pub fn draw(rng: &mut StdRng) -> Option<MembersPlan> {
        if rng.random_bool(0.4) {
            return None;
        }
        let left_out = [0.0, 0.3, 0.6][rng.random_range(0..3)];
        let mut steps = STEPS.to_vec();
        for (_, weight) in &mut steps {
            match rng.random_bool(left_out) {
                true => *weight = 0,
                false => *weight *= rng.random_range(1..=4),
            }
        }
        if steps.iter().all(|(_, weight)| *weight == 0) {
            steps = STEPS.to_vec();
        }
        Some(MembersPlan {
            spares: rng.random_range(2..=6),
            operators: rng.random_range(1..=2),
            pause_ms_max: [150, 600, 2_500][rng.random_range(0..3)],
            steps,
            crash_probability: [0.0, 0.2, 0.6][rng.random_range(0..3)],
        })
    }
}
