//! The road behind the kernel on one core: records -> windows -> rows -> scores, training, and resident memory.
//! `cargo xtask bench pipeline`

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark")]

mod support;

use std::{hint::black_box, time::Instant};

use sensor::{
    alert::incident::IncidentSettings,
    detect::{
        network::{CODE, HIDDEN, Inference, Network},
        scaler::{ColumnKind, Excess, Scaler},
        train::{ScaledRows, TrainSettings, train},
    },
    engine::{Engine, EngineSettings},
    features::{Extractor, ExtractorSettings, RowKind, Rows, Scale, WindowRows},
    source::{FlowSink, MemoryTables},
    window::{Window, WindowBuilder, WindowSettings},
};
use sensor_common::{
    counter::Counters, flow::FlowRecord, flow::Sighting, overflow::OverflowCell, parse::Frame,
};
use support::{cpu_ns, median, one_candle_thread, pin, resident_mib};

const SECOND_NS: u64 = 1_000_000_000;
const WINDOW_NS: u64 = 10 * SECOND_NS;
/// Active flows in every window.
const FLOWS: u64 = 10_000;
/// Rows of the training figure.
const TRAINING_ROWS: usize = 1_000_000;

/// Keeps the records of one window, so that building windows can be timed alone.
#[derive(Default)]
struct Records {
    records: Vec<FlowRecord>,
    books: Counters,
}

impl FlowSink for Records {
    fn record(&mut self, record: &FlowRecord) {
        self.records.push(*record);
    }

    fn overflow(&mut self, _cell: &OverflowCell) {}

    fn books(&mut self, counters: &Counters) {
        self.books.add(counters);
    }
}

/// Requests and answers of many clients with a few hundred servers.
fn traffic(window: u64) -> Records {
    let mut tables = MemoryTables::new(64 << 20, [1, 2, 3, 4, 5, 6]);
    let mut state = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for flow in 0..FLOWS {
        let mut frame = support::tcp_frame();
        let client = [10, 0, (flow % 8) as u8, (next() % 250) as u8];
        let server = [192, 0, 2, (next() % 250) as u8];
        let port = (20_000 + (flow + window * 37) % 40_000) as u16;
        let begin = window * WINDOW_NS + next() % (8 * SECOND_NS);
        for step in 0..4 + next() % 8 {
            let (src, dst, ports) = if step % 2 == 0 {
                (client, server, [port.to_be_bytes(), 443u16.to_be_bytes()])
            } else {
                (server, client, [443u16.to_be_bytes(), port.to_be_bytes()])
            };
            frame[26..30].copy_from_slice(&src);
            frame[30..34].copy_from_slice(&dst);
            frame[34..36].copy_from_slice(&ports[0]);
            frame[36..38].copy_from_slice(&ports[1]);
            frame[47] = [0x02, 0x12, 0x10, 0x18][step.min(3) as usize];
            let len = 60 + (next() % 1400) as u32;
            frame[16..18].copy_from_slice(&((len - 14) as u16).to_be_bytes());
            let now_ns = begin + step * (1_000_000 + next() % 30_000_000);
            tables.observe(
                frame.as_slice(),
                &Frame::ethernet(len),
                Sighting::packet(now_ns, len),
            );
        }
    }
    let mut records = Records::default();
    tables.drain(&mut records);
    records
}

fn close(builder: &mut WindowBuilder, traffic: &Records, window: u64) -> Window {
    for record in &traffic.records {
        builder.record(record);
    }
    builder.books(&traffic.books);
    builder.close(window * WINDOW_NS, (window + 1) * WINDOW_NS)
}

fn line(what: &str, ns: f64) {
    println!("{what:44} {ns:>10.1} {:>14.2}", 1e3 / ns);
}

fn main() {
    one_candle_thread();
    pin(1);
    let per = |ns: f64, count: usize| ns / count as f64;
    let window_settings = WindowSettings {
        max_flows: 131_072,
        idle_timeout_ns: 60 * SECOND_NS,
        active_timeout_ns: 1800 * SECOND_NS,
    };
    let extractor = ExtractorSettings {
        max_hosts: 16_384,
        window_ns: WINDOW_NS,
        local_networks: Vec::new(),
    };
    let mut builder = WindowBuilder::new(window_settings, 1);
    let mut rows_of = Extractor::new(&extractor, 1);
    let (mut merging, mut closing, mut extracting) = (Vec::new(), Vec::new(), Vec::new());
    let mut last: Option<WindowRows> = None;
    for number in 0..12 {
        let records = traffic(number);
        let began = cpu_ns();
        for record in &records.records {
            builder.record(record);
        }
        builder.books(&records.books);
        merging.push(per(cpu_ns() - began, records.records.len()));
        let began = cpu_ns();
        let window = builder.close(number * WINDOW_NS, (number + 1) * WINDOW_NS);
        closing.push(per(cpu_ns() - began, window.flows.len()));
        let began = cpu_ns();
        let rows = rows_of.rows(&window);
        extracting.push(per(cpu_ns() - began, rows.flow.len() + rows.host.len()));
        last = Some(rows);
    }
    let rows = last.expect("twelve windows");
    println!("{FLOWS} active flows per window, one core, CPU time (median of 12 windows)\n");
    println!("{:44} {:>10} {:>14}", "", "ns each", "M/s");
    line("record into window", median(&merging));
    line("flow of a closed window", median(&closing));
    line("row of features (flow and host)", median(&extracting));

    let mut engine = Engine::new(
        EngineSettings {
            window_ns: WINDOW_NS,
            learn_ns: 30 * WINDOW_NS,
            alarm_budget_per_day: 10.0,
            seed: 1,
            sensor: "bench".to_owned(),
            detector: sensor::detect::scorer::DetectorKind::Autoencoder,
            keep_scores: false,
            incidents: IncidentSettings::default(),
            extractor: extractor.clone(),
        },
        None,
    );
    let mut builder = WindowBuilder::new(window_settings, 1);
    let name = |_slot: u16| "bench0".to_owned();
    let mut number = 0;
    let job = loop {
        let window = close(&mut builder, &traffic(number), number);
        engine.window(&window, (number * WINDOW_NS) as i64, &name);
        number += 1;
        if let Some(job) = engine.take_training_job() {
            break job;
        }
    };
    let learned = job.rows();
    let began = Instant::now();
    let model = std::sync::Arc::new(job.run(&mut |_| {}).expect("training"));
    let training_s = began.elapsed().as_secs_f64();
    let mut scores = Vec::new();
    let mut scoring = Vec::new();
    for _ in 0..30 {
        scores.clear();
        let began = cpu_ns();
        model.score_batch(&rows.flow, &mut scores).expect("scoring");
        scoring.push(per(cpu_ns() - began, rows.flow.len()));
        black_box(&scores);
    }
    beside_onnx_runtime(rows.flow.width, median(&scoring));
    engine.install(model);
    let mut whole = Vec::new();
    for _ in 0..5 {
        let records = traffic(number);
        let began = cpu_ns();
        let window = close(&mut builder, &records, number);
        engine.window(&window, (number * WINDOW_NS) as i64, &name);
        whole.push((cpu_ns() - began) / 1e6);
        number += 1;
    }
    let ms = median(&whole);
    println!(
        "\nwhole window, records to alarms: {ms:.1} ms = {:.3} % of one core at a window of 10 s",
        ms / 100.0
    );
    let (all, own) = resident_mib();
    println!("resident memory: {all:.1} MiB, of it anonymous {own:.1} MiB (benchmark's traffic included)");
    println!(
        "learning in the engine: {} flow rows and {} host rows in {training_s:.1} s",
        learned[0], learned[1]
    );
    training(&rows.flow);
}

/// What a score takes, the network's part in it, and the same network in ONNX Runtime.
fn beside_onnx_runtime(width: usize, scoring_ns: f64) {
    line("score of a flow row", scoring_ns);
    let network_ns = network(width);
    line("of it the network", network_ns);
    match onnx_runtime(width) {
        Ok((batch, ns)) => {
            line(&format!("ONNX Runtime, the same network, batch {batch}"), ns);
            println!(
                "share of ONNX Runtime's speed: network {:.0} %, whole score {:.0} %",
                100.0 * ns / network_ns,
                100.0 * ns / scoring_ns
            );
        }
        Err(why) => println!("ONNX Runtime was not run beside it: {why}"),
    }
}

/// The network alone, as ONNX Runtime is measured: nanoseconds for each row of scaled values.
fn network(width: usize) -> f64 {
    struct Pass<'a>(&'a Inference, &'a [f32], &'a mut [f32]);

    impl pulp::WithSimd for Pass<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _simd: S) {
            let width = self.0.width();
            for rows in self.1.chunks_exact(width * 4) {
                let rows = std::array::from_fn::<_, 4, _>(|row| &rows[row * width..(row + 1) * width]);
                self.0.reconstruct(rows, self.2);
                black_box(&self.2);
            }
        }
    }

    let inference = Inference::of(&Network::seeded(width, 1).expect("a network")).expect("its layers");
    let rows = 10_000;
    let inputs: Vec<f32> = (0..rows * width).map(|at| (at as f32 * 0.7).sin()).collect();
    let mut rebuilt = vec![0.0; inference.stride() * 4];
    let mut samples = Vec::new();
    for _ in 0..100 {
        let began = cpu_ns();
        pulp::Arch::new().dispatch(Pass(&inference, &inputs, &mut rebuilt));
        samples.push((cpu_ns() - began) / rows as f64);
    }
    median(&samples)
}

/// ONNX Runtime with the same layers on this core: its best batch size and nanoseconds for each row. It is used when the
/// Python named by `SENSOR_BENCH_PYTHON` (else `python3`) has it.
fn onnx_runtime(width: usize) -> Result<(usize, f64), String> {
    let python = std::env::var_os("SENSOR_BENCH_PYTHON").unwrap_or_else(|| "python3".into());
    let output = std::process::Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/onnx_runtime.py"))
        .args([width, HIDDEN, CODE, HIDDEN].map(|layer| layer.to_string()))
        .output()
        .map_err(|error| format!("cannot start {}: {error}", python.display()))?;
    if output.status.code() == Some(3) {
        return Err(format!(
            "not installed (`pip install onnxruntime onnx numpy`, SENSOR_BENCH_PYTHON names another Python): {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let best = text.lines().filter_map(|line| {
        let (batch, ns) = line.split_once(' ')?;
        Some((batch.parse().ok()?, ns.parse().ok()?))
    });
    best.min_by(|a: &(usize, f64), b| a.1.total_cmp(&b.1))
        .ok_or_else(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// The network alone on a million rows.
fn training(rows: &Rows) {
    let features = RowKind::Flow.features();
    let kinds: Vec<ColumnKind> = features
        .iter()
        .map(|feature| ColumnKind {
            log1p: feature.scale == Scale::Log1p,
            span: feature.high - feature.low,
            excess: Excess::Both,
        })
        .collect();
    let scaler = Scaler::fit(&rows.values, &kinds);
    let mut scaled = ScaledRows {
        width: rows.width,
        ..ScaledRows::default()
    };
    let mut once = scaled.clone();
    scaler.apply(&rows.values, &mut once.inputs, &mut once.weights, &mut Vec::new());
    while scaled.len() < TRAINING_ROWS {
        scaled.inputs.extend_from_slice(&once.inputs);
        scaled.weights.extend_from_slice(&once.weights);
    }
    let held_out = ScaledRows {
        width: rows.width,
        inputs: scaled.inputs[..rows.width * 10_000].to_vec(),
        weights: scaled.weights[..rows.width * 10_000].to_vec(),
    };
    let began = (Instant::now(), cpu_ns());
    let (_, curve) = train(&scaled, &held_out, &TrainSettings::default(), &mut |_| {}).expect("training");
    println!(
        "training on {} rows of {} columns: {} passes in {:.1} s ({:.1} s CPU)",
        scaled.len(),
        rows.width,
        curve.training.len(),
        began.0.elapsed().as_secs_f64(),
        (cpu_ns() - began.1) / 1e9
    );
}
