//! `cargo xtask bench daemon`: what the running sensor costs beside 100,000 packets a second of 10,000 flows, and how
//! long it takes from start to counting. Must only make traffic inside namespaces of its own.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sensor_tests::agent::Agent;
use sensor_tests::frames::{Ends, udp_ipv4};
use sensor_tests::metrics::Metrics;
use sensor_tests::netns::{Netns, connect};
use sensor_tests::packet_socket::PacketSocket;
use sensor_tests::stop::Stop;

const FLOWS: u32 = 10_000;
const PACKETS_PER_SECOND: u64 = 100_000;
/// Packets are sent in bursts of this length, so that the sender sleeps between them.
const BURST: Duration = Duration::from_millis(2);
const LEARN: &str = "200s";
/// Bounds the whole run: learning, training, measuring.
const LIMIT: Duration = Duration::from_mins(6);
const SETTLE: Duration = Duration::from_secs(15);
const MEASURE: Duration = Duration::from_secs(40);

/// Runs the measurement with `binary` and prints the table.
pub(crate) fn run(binary: &Path) -> Result<()> {
    let (sender, host) = (Netns::create("bench-sender")?, Netns::create("bench-host")?);
    sender.disable_ipv6()?;
    host.disable_ipv6()?;
    connect((&sender, "out0"), (&host, "in0"))?;
    let state = std::env::temp_dir().join(format!("sensor-bench-{}", std::process::id()));
    let measured = measure(binary, &sender, &host, &state);
    let log = std::fs::read_to_string(state.with_extension("log")).unwrap_or_default();
    // Nothing of a run is kept.
    let _cleaned = (
        std::fs::remove_dir_all(&state),
        std::fs::remove_file(state.with_extension("log")),
    );
    measured.with_context(|| format!("the sensor said:\n{log}"))
}

fn measure(binary: &Path, sender: &Netns, host: &Netns, state: &Path) -> Result<()> {
    let began = Instant::now();
    let mut agent = Agent::start(
        binary,
        host,
        &["in0"],
        state,
        &["--window", "10s", "--learn", LEARN],
    )?;
    let ready = loop {
        if matches!(agent.get("/readyz"), Ok((200, _))) {
            break began.elapsed();
        }
        anyhow::ensure!(
            began.elapsed() < Duration::from_secs(30),
            "the sensor is not ready after 30 s"
        );
        std::thread::sleep(Duration::from_millis(1));
    };
    println!(
        "start of the process to attached, counting and answering: {} ms\n",
        ready.as_millis()
    );
    let (stop, sent) = (Stop::default(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let traffic = scope.spawn(|| sender.run(|| send(&stop, &sent)));
        let result = (|| {
            println!(
                "{:34} {:>12} {:>14} {:>14}",
                "", "packets/s", "CPU of a core", "resident MiB"
            );
            std::thread::sleep(SETTLE);
            report("learning", &agent)?;
            agent.wait_for("detecting", LIMIT, |metrics| {
                metrics.value("sensor_phase", &[("phase", "detecting")]) == Some(1.0)
            })?;
            std::thread::sleep(SETTLE);
            report("detecting", &agent)
        })();
        stop.request();
        let joined = traffic.join();
        result?;
        joined.map_err(|_| anyhow::anyhow!("the sender panicked"))??
    })?;
    // What is still in the kernel's table is drained within a second.
    std::thread::sleep(Duration::from_secs(12));
    let metrics = agent.metrics()?;
    println!(
        "\nsent {}, received by the interface's counter {}, not accounted for {}",
        sent.load(Ordering::Relaxed),
        value(&metrics, "sensor_interface_receive_packets_total"),
        value(&metrics, "sensor_packets_unaccounted_total"),
    );
    agent.terminate(Duration::from_secs(10))?;
    Ok(())
}

/// Prints what the sensor used over the measuring time.
fn report(phase: &str, agent: &Agent<'_>) -> Result<()> {
    let (before, began) = (agent.metrics()?, Instant::now());
    std::thread::sleep(MEASURE);
    let (after, seconds) = (agent.metrics()?, began.elapsed().as_secs_f64());
    let rate = |name: &str| (value(&after, name) - value(&before, name)) / seconds;
    println!(
        "{phase:34} {:>12.0} {:>12.2} % {:>14.1}",
        rate("sensor_interface_receive_packets_total"),
        100.0 * rate("process_cpu_seconds_total"),
        value(&after, "process_resident_memory_bytes") / f64::from(1 << 20),
    );
    Ok(())
}

fn value(metrics: &Metrics, name: &str) -> f64 {
    metrics.sum(name, &[])
}

/// Sends the flows in turn at the stated rate until told to stop.
fn send(stop: &Stop, sent: &AtomicU64) -> Result<()> {
    let frames: Vec<Vec<u8>> = (0..FLOWS)
        .map(|flow| {
            let ends = Ends {
                macs: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
                addresses: (
                    Ipv4Addr::new(10, 1, 0, (flow % 100) as u8 + 1),
                    Ipv4Addr::new(10, 2, 0, (flow % 20) as u8 + 1),
                ),
                ports: (20_000 + (flow / 100) as u16, 443),
            };
            udp_ipv4(ends, &[0; 200])
        })
        .collect();
    let socket = PacketSocket::open("out0")?;
    let began = Instant::now();
    let mut count = 0;
    while !stop.requested() {
        let due = (began.elapsed().as_micros() as u64 * PACKETS_PER_SECOND) / 1_000_000;
        while count < due {
            if socket.send(&frames[(count % u64::from(FLOWS)) as usize]).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
            count += 1;
        }
        std::thread::sleep(BURST);
    }
    Ok(())
}
