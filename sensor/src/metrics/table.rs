//! The table of metrics: field, type, name, labels and help text of each.
//! It must never hold a name that breaks the rules of Prometheus (tested).

use super::{
    BatchHistogram, Counter, CounterVec, Exemplars, Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec,
    MetricsError, Registry,
    family::{Def, Family, Label},
    label::{
        BEHAVIOUR, CAUSE, DETECTOR, DROPPED, ENDED, FORGOTTEN, INTERFACE, MODE, MODEL_ID, PHASE, PROGRAM,
        ROW_KIND, SEVERITY, SINK, SKIPPED, STAGE, SUPPRESSED, UNSCORED,
    },
};

macro_rules! buckets {
    () => {
        &[]
    };
    ($buckets:expr) => {
        $buckets
    };
}

/// Declares the struct, the table and the registration from one list.
macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $type:ty = $name:literal [$($label:expr),*] $(in $buckets:expr)?;)*) => {
        /// Handles of all metrics. Cheap to use from any thread.
        #[derive(Debug)]
        pub struct Metrics {
            $($(#[doc = $help])+ pub $field: $type,)*
            pub(super) registry: Registry,
            pub(super) exemplars: Exemplars,
        }

        /// All metrics, in the order of the documents.
        pub const TABLE: &[Def] = &[$(Def {
            name: $name,
            help: concat!($($help),+),
            kind: <$type as Family>::KIND,
            labels: { const LABELS: &[Label] = &[$($label),*]; LABELS },
            buckets: buckets!($($buckets)?),
        },)*];

        impl Metrics {
            /// Makes and registers all metrics.
            ///
            /// # Errors
            /// If the table breaks a rule of Prometheus, which the tests exclude.
            pub fn new() -> Result<Self, MetricsError> {
                let registry = Registry::new();
                let mut rows = TABLE.iter();
                $(
                    let row = rows.next().ok_or_else(|| prometheus::Error::Msg($name.to_owned()))?;
                    let $field = <$type as Family>::create(row)?;
                    registry.register(Box::new($field.clone()))?;
                )*
                Ok(Self { $($field,)* registry, exemplars: Exemplars::default() })
            }
        }
    };
}

/// The buckets that scoring counts in.
pub(super) const ERROR_BUCKETS: &[f64] = &crate::engine::outcome::ERROR_BOUNDS;
/// The histogram that carries exemplars.
pub(super) const ERROR_NAME: &str = "sensor_reconstruction_error";
const DRAIN_BUCKETS: &[f64] = &[0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];
const SCORING_BUCKETS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
const TRAINING_BUCKETS: &[f64] = &[1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 1_000.0];

const fn info(name: &'static str) -> Label {
    Label {
        name,
        values: &[],
        bound: "one value, fixed at start",
    }
}

metrics! {
    /// Version of the sensor; always 1.
    build_info: GaugeVec = "sensor_build_info" [info("version"), info("target")];
    /// The running kernel and whether it describes its types (BTF); always 1.
    kernel_info: GaugeVec = "sensor_kernel_info" [info("release"), info("btf")];
    /// What the sensor is doing now: 1 for the current phase, 0 for the others.
    phase: GaugeVec = "sensor_phase" [PHASE];
    /// How much of the time to learn is over, from 0 to 1.
    learning_progress_ratio: Gauge = "sensor_learning_progress_ratio" [];
    /// When each stage of the pipeline last completed a piece of work, as Unix time.
    heartbeat_timestamp_seconds: GaugeVec = "sensor_heartbeat_timestamp_seconds" [STAGE];
    /// Whether the last attempt to load the configuration succeeded: 1 or 0.
    config_last_reload_successful: Gauge = "sensor_config_last_reload_successful" [];
    /// When the configuration was last loaded successfully, as Unix time.
    config_last_reload_success_timestamp_seconds: Gauge = "sensor_config_last_reload_success_timestamp_seconds" [];

    /// Interfaces the sensor is attached to, and how; 1 while attached, absent otherwise.
    interface_attached: GaugeVec = "sensor_interface_attached" [INTERFACE, MODE];
    /// Packets received, as on the wire.
    interface_receive_packets: IntCounterVec = "sensor_interface_receive_packets_total" [INTERFACE];
    /// Bytes received, link headers included.
    interface_receive_bytes: IntCounterVec = "sensor_interface_receive_bytes_total" [INTERFACE];
    /// Packets transmitted, as on the wire.
    interface_transmit_packets: IntCounterVec = "sensor_interface_transmit_packets_total" [INTERFACE];
    /// Bytes transmitted, link headers included.
    interface_transmit_bytes: IntCounterVec = "sensor_interface_transmit_bytes_total" [INTERFACE];
    /// Packets read from the kernel tables. Equals packets in flows + overflow + skipped, exactly.
    packets_seen: IntCounter = "sensor_packets_seen_total" [];
    /// Packets read from the kernel tables that are in a flow.
    packets_in_flows: IntCounter = "sensor_packets_in_flows_total" [];
    /// Packets that could not be given a flow, by the reason.
    packets_skipped: IntCounterVec = "sensor_packets_skipped_total" [SKIPPED];
    /// Packets whose flow found no place in the table; counted by target in the overflow sketch.
    packets_overflow: IntCounter = "sensor_packets_overflow_total" [];
    /// Packets seen that are in no flow, overflow or skip reason: 0 unless the sensor miscounts.
    packets_unaccounted: IntCounter = "sensor_packets_unaccounted_total" [];
    /// CPU time spent in the BPF programs, while the kernel's BPF statistics are on.
    bpf_run_seconds: CounterVec = "sensor_bpf_run_seconds_total" [PROGRAM];
    /// Runs of the BPF programs, while the kernel's BPF statistics are on.
    bpf_runs: IntCounterVec = "sensor_bpf_runs_total" [PROGRAM];

    /// Flows in the half of the kernel table that is being filled.
    flow_table_entries: Gauge = "sensor_flow_table_entries" [];
    /// Flows that fit into one half of the kernel table.
    flow_table_capacity: Gauge = "sensor_flow_table_capacity" [];
    /// Swaps of the two halves of the kernel table, by what caused them.
    flow_table_flips: IntCounterVec = "sensor_flow_table_flips_total" [CAUSE];
    /// Flows moved from the table to the overflow sketch to make room.
    flow_table_evictions: IntCounter = "sensor_flow_table_evictions_total" [];
    /// Flows that began.
    flows_started: IntCounter = "sensor_flows_started_total" [];
    /// Flows that ended, by the reason.
    flows_ended: IntCounterVec = "sensor_flows_ended_total" [ENDED];
    /// Flows that are followed from window to window.
    flows_live: Gauge = "sensor_flows_live" [];
    /// Time to read the kernel tables once.
    drain_duration_seconds: Histogram = "sensor_drain_duration_seconds" [] in DRAIN_BUCKETS;
    /// Reads of the kernel tables that failed.
    drain_failures: IntCounter = "sensor_drain_failures_total" [];

    /// Windows closed.
    windows: IntCounter = "sensor_windows_total" [];
    /// Time from the end of the last window until it was scored.
    window_lag_seconds: Gauge = "sensor_window_lag_seconds" [];
    /// Rows scored, by kind.
    rows_scored: IntCounterVec = "sensor_rows_scored_total" [ROW_KIND];
    /// Rows that were not scored, by the reason.
    rows_unscored: IntCounterVec = "sensor_rows_unscored_total" [UNSCORED];
    /// Time to turn one window into scores.
    scoring_duration_seconds: Histogram = "sensor_scoring_duration_seconds" [] in SCORING_BUCKETS;
    /// Reconstruction error of rows; exemplars (OpenMetrics) carry the Community ID and the incident.
    reconstruction_error: BatchHistogram = "sensor_reconstruction_error" [] in ERROR_BUCKETS;
    /// Hosts over the alarm threshold in a window, by the kind of their strongest row.
    alarms: IntCounterVec = "sensor_alarms_total" [ROW_KIND];
    /// Alarms that led to no notification of their own, by the reason; for suppressions (`rule`) the updates they hid.
    alarms_suppressed: IntCounterVec = "sensor_alarms_suppressed_total" [SUPPRESSED];
    /// Incidents opened.
    incidents: IntCounterVec = "sensor_incidents_total" [SEVERITY, BEHAVIOUR];
    /// Incidents that are open now.
    incidents_open: GaugeVec = "sensor_incidents_open" [SEVERITY];
    /// Stored updates of incidents that were removed, by the bound they went over.
    incident_updates_forgotten: IntCounterVec = "sensor_incident_updates_forgotten_total" [FORGOTTEN];
    /// False alarms a day that the operator accepts.
    alarm_budget_per_day: Gauge = "sensor_alarm_budget_per_day" [];
    /// Incidents opened in the last 24 hours.
    alarm_rate_per_day: Gauge = "sensor_alarm_rate_per_day" [];

    /// The model in use; always 1, absent while there is none.
    model_info: GaugeVec = "sensor_model_info" [MODEL_ID, DETECTOR];
    /// When the model in use was trained, as Unix time.
    model_trained_timestamp_seconds: Gauge = "sensor_model_trained_timestamp_seconds" [];
    /// Share of rows above the 90 % quantile of calibration over the share expected: 1 while traffic is as it was in
    /// learning; 0 without a model.
    model_drift_ratio: Gauge = "sensor_model_drift_ratio" [];
    /// Alarm thresholds over those of calibration: above 1 while more alarms come than the budget asks for, at most 1.5;
    /// 0 without a model.
    model_threshold_ratio: Gauge = "sensor_model_threshold_ratio" [];
    /// Models put into use.
    model_swaps: IntCounter = "sensor_model_swaps_total" [];
    /// Models that could not be put into use or saved.
    model_swap_failures: IntCounter = "sensor_model_swap_failures_total" [];
    /// Trainings begun.
    training_runs: IntCounter = "sensor_training_runs_total" [];
    /// Trainings that failed.
    training_failures: IntCounter = "sensor_training_failures_total" [];
    /// Time one training took.
    training_duration_seconds: Histogram = "sensor_training_duration_seconds" [] in TRAINING_BUCKETS;
    /// Rows the thresholds of the model in use were calibrated on.
    calibration_rows: Gauge = "sensor_calibration_rows" [];

    /// Events written, by output.
    sink_events_sent: IntCounterVec = "sensor_sink_events_sent_total" [SINK];
    /// Attempts to write an event that failed and are repeated, by output.
    sink_events_failed: IntCounterVec = "sensor_sink_events_failed_total" [SINK];
    /// Events given up, by output and reason.
    sink_events_dropped: IntCounterVec = "sensor_sink_events_dropped_total" [SINK, DROPPED];
    /// Events waiting to be written, by output.
    sink_queue_length: GaugeVec = "sensor_sink_queue_length" [SINK];

    /// Total user and system CPU time spent in seconds.
    process_cpu_seconds: Counter = "process_cpu_seconds_total" [];
    /// Number of open file descriptors.
    process_open_fds: Gauge = "process_open_fds" [];
    /// Maximum number of open file descriptors.
    process_max_fds: Gauge = "process_max_fds" [];
    /// Virtual memory size in bytes.
    process_virtual_memory_bytes: Gauge = "process_virtual_memory_bytes" [];
    /// Resident memory size in bytes.
    process_resident_memory_bytes: Gauge = "process_resident_memory_bytes" [];
    /// Start time of the process since unix epoch in seconds.
    process_start_time_seconds: Gauge = "process_start_time_seconds" [];
    /// Number of OS threads in the process.
    process_threads: Gauge = "process_threads" [];
}
