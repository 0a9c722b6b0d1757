//! Values of labels, as closed lists: a label cannot take a value that is not written here or in the module it
//! belongs to. It must never offer a value made from traffic.

use super::family::Label;
use sensor_common::counter::Skip;

/// Declares an enum whose variants are label values.
macro_rules! label_values {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All values.
            pub const VALUES: &'static [&'static str] = &[$($text,)*];

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

label_values! {
    /// A stage of the pipeline, for heartbeats.
    Stage {
        /// Reads the kernel tables.
        Drain = "drain",
        /// Scores windows.
        Score = "score",
        /// Writes incidents.
        Sink = "sink",
    }
}

label_values! {
    /// Why the two halves of the flow table were swapped.
    FlipCause {
        /// The drain interval was over.
        Interval = "interval",
        /// Half of the table was full.
        Occupancy = "occupancy",
        /// The window ended.
        Window = "window",
        /// The sensor ends.
        Shutdown = "shutdown",
    }
}

label_values! {
    /// Height of a row.
    RowKind {
        /// One flow in one window.
        Flow = "flow",
        /// One host in one window.
        Host = "host",
    }
}

label_values! {
    /// Why rows were not scored.
    Unscored {
        /// There is no model yet.
        Learning = "learning",
        /// Scoring fell behind and the window was given up.
        Backlog = "backlog",
        /// Scoring failed.
        Error = "error",
    }
}

label_values! {
    /// Outputs of incidents.
    SinkName {
        /// The JSON-lines journal.
        Journal = "journal",
    }
}

label_values! {
    /// Why a sink gave up events.
    DropReason {
        /// The queue was full.
        QueueFull = "queue_full",
        /// The sensor ended before the output recovered.
        Shutdown = "shutdown",
    }
}

label_values! {
    /// How programs are attached.
    AttachMode {
        /// XDP in the driver.
        Native = "native",
        /// XDP behind the driver.
        Generic = "generic",
        /// TC, by BPF link.
        Tcx = "tcx",
        /// TC, by the clsact queueing discipline.
        Clsact = "clsact",
    }
}

label_values! {
    /// What the sensor is doing.
    Phase {
        /// Counting normal traffic; nothing alarms.
        Learning = "learning",
        /// Training and setting thresholds.
        Calibrating = "calibrating",
        /// Scoring and alarming.
        Detecting = "detecting",
        /// Something is broken; see the log.
        Degraded = "degraded",
    }
}

const fn closed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label {
        name,
        values,
        bound: "",
    }
}

const fn open(name: &'static str, bound: &'static str) -> Label {
    Label {
        name,
        values: &[],
        bound,
    }
}

const SKIPS: [&str; Skip::ALL.len()] = {
    let mut labels = [""; Skip::ALL.len()];
    let mut index = 0;
    while index < labels.len() {
        labels[index] = Skip::ALL[index].label();
        index += 1;
    }
    labels
};

pub(super) const STAGE: Label = closed("stage", Stage::VALUES);
pub(super) const CAUSE: Label = closed("cause", FlipCause::VALUES);
pub(super) const ROW_KIND: Label = closed("kind", RowKind::VALUES);
pub(super) const UNSCORED: Label = closed("reason", Unscored::VALUES);
pub(super) const SINK: Label = closed("sink", SinkName::VALUES);
pub(super) const DROPPED: Label = closed("reason", DropReason::VALUES);
pub(super) const MODE: Label = closed("mode", AttachMode::VALUES);
pub(super) const SKIPPED: Label = closed("reason", &SKIPS);
pub(super) const INTERFACE: Label = open("interface", "watched interfaces, at most 12 and `other`");
pub(super) const PROGRAM: Label = open("program", "the sensor's BPF programs");
pub(super) const PHASE: Label = closed("phase", Phase::VALUES);
pub(super) const ENDED: Label = open("reason", "the reasons a flow can end");
pub(super) const SUPPRESSED: Label = open("reason", "the reasons of grouping");
pub(super) const SEVERITY: Label = open("severity", "the five severities");
pub(super) const BEHAVIOUR: Label = open("behaviour", "the behaviours that are named");
pub(super) const MODEL_ID: Label = open("id", "one value: the model in use");
pub(super) const DETECTOR: Label = open("detector", "one value: the model in use");
