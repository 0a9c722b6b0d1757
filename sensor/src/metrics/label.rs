//! Values of labels, as closed lists: a label cannot take a value that is not written here or in the module it
//! belongs to. It must never offer a value made from traffic.

use sensor_common::counter::Skip;

use super::family::Label;
use crate::{
    alert::{Behaviour, Severity},
    engine::{Phase, Suppressed, Unscored},
    features::RowKind,
    probe::Mode,
};

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
        /// Stores incidents.
        Store = "store",
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
    /// Why whole windows were not scored, beside the reasons of the engine ([`Unscored`]).
    Lost {
        /// Scoring fell behind and the window was given up.
        Backlog = "backlog",
        /// The last window was cut short by the end of the sensor.
        Shutdown = "shutdown",
    }
}

label_values! {
    /// Outputs of incidents.
    SinkName {
        /// The JSON-lines journal.
        Journal = "journal",
        /// The file of EVE records.
        Eve = "eve",
        /// The file of OCSF findings.
        Ocsf = "ocsf",
        /// Syslog.
        Syslog = "syslog",
        /// HTTP POST.
        Webhook = "webhook",
        /// Prometheus Alertmanager.
        Alertmanager = "alertmanager",
        /// The incident database.
        Store = "store",
    }
}

label_values! {
    /// Why a sink gave up events.
    DropReason {
        /// The queue was full.
        QueueFull = "queue_full",
        /// The sensor ended before the output recovered.
        Shutdown = "shutdown",
        /// The receiver will never take it.
        Refused = "refused",
        /// Retention took it from the database before it could be sent.
        Expired = "expired",
    }
}

label_values! {
    /// Why an update was not told, beside the reasons of the engine ([`Suppressed`]).
    Hidden {
        /// A suppression that somebody wrote.
        Rule = "rule",
    }
}

label_values! {
    /// Why stored updates were removed.
    Forgotten {
        /// They were older than `incidents_retention`.
        Age = "age",
        /// The database was larger than `incidents_size`.
        Size = "size",
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

/// The labels of an enum of another module.
macro_rules! labels_of {
    ($type:ty) => {{
        const LABELS: [&str; <$type>::ALL.len()] = {
            let mut labels = [""; <$type>::ALL.len()];
            let mut index = 0;
            while index < labels.len() {
                labels[index] = <$type>::ALL[index].label();
                index += 1;
            }
            labels
        };
        &LABELS
    }};
}

/// Reasons of the engine, then those of this module.
const UNSCORED_VALUES: [&str; Unscored::ALL.len() + Lost::VALUES.len()] = {
    let mut labels = [""; Unscored::ALL.len() + Lost::VALUES.len()];
    let mut index = 0;
    while index < labels.len() {
        labels[index] = if index < Unscored::ALL.len() {
            Unscored::ALL[index].label()
        } else {
            Lost::VALUES[index - Unscored::ALL.len()]
        };
        index += 1;
    }
    labels
};

/// Reasons of the engine, then those of this module.
const SUPPRESSED_VALUES: [&str; Suppressed::ALL.len() + Hidden::VALUES.len()] = {
    let mut labels = [""; Suppressed::ALL.len() + Hidden::VALUES.len()];
    let mut index = 0;
    while index < labels.len() {
        labels[index] = if index < Suppressed::ALL.len() {
            Suppressed::ALL[index].label()
        } else {
            Hidden::VALUES[index - Suppressed::ALL.len()]
        };
        index += 1;
    }
    labels
};

pub(super) const STAGE: Label = closed("stage", Stage::VALUES);
pub(super) const CAUSE: Label = closed("cause", FlipCause::VALUES);
pub(super) const ROW_KIND: Label = closed("kind", labels_of!(RowKind));
pub(super) const UNSCORED: Label = closed("reason", &UNSCORED_VALUES);
pub(super) const SINK: Label = closed("sink", SinkName::VALUES);
pub(super) const DROPPED: Label = closed("reason", DropReason::VALUES);
pub(super) const MODE: Label = closed("mode", labels_of!(Mode));
pub(super) const SKIPPED: Label = closed("reason", labels_of!(Skip));
pub(super) const INTERFACE: Label = open("interface", "watched interfaces, at most 12 and `other`");
pub(super) const PROGRAM: Label = open("program", "the sensor's BPF programs");
pub(crate) const PHASE: Label = closed("phase", labels_of!(Phase));
pub(super) const ENDED: Label = closed("reason", &["fin", "rst", "idle", "active", "evicted"]);
pub(super) const SUPPRESSED: Label = closed("reason", &SUPPRESSED_VALUES);
pub(super) const FORGOTTEN: Label = closed("reason", Forgotten::VALUES);
pub(super) const SEVERITY: Label = closed("severity", labels_of!(Severity));
pub(super) const BEHAVIOUR: Label = closed("behaviour", labels_of!(Behaviour));
pub(super) const MODEL_ID: Label = open("id", "one value: the model in use");
pub(super) const DETECTOR: Label = open("detector", "one value: the model in use");
