//! scratch
use sensor::probe::*;
use aya::programs::{TestRun, TestRunOptions};
fn main() {
    let bytes = std::env::args().nth(1).map(|p| std::fs::read(p).unwrap());
    let obj: Vec<u64> = bytes.map(|b| { let mut v = vec![0u64; b.len().div_ceil(8)]; bytemuck::cast_slice_mut(&mut v)[..b.len()].copy_from_slice(&b); v }).unwrap_or_default();
    let b: &[u8] = if obj.is_empty() { OBJECT } else { bytemuck::cast_slice(&obj) };
    let s = ProbeSettings { table_bytes: 16<<20, ..Default::default() };
    match Probe::load_object(b, &s) { Ok((p,_d)) => { for n in ["sensor_xdp","sensor_xdp_frag"] { let i = p.xdp(n).unwrap().info().unwrap(); println!("{n} insns {:?} xlated {:?} jited {}", i.verified_instruction_count(), i.size_translated(), i.size_jitted()); }
     for n in ["sensor_egress","sensor_ingress"] { let i = p.classifier(n).unwrap().info().unwrap(); println!("{n} insns {:?} xlated {:?} jited {}", i.verified_instruction_count(), i.size_translated(), i.size_jitted()); }
     let mut f = vec![2u8,0,0,0,0,1,2,0,0,0,0,2,8,0,0x45,0,0,46,0,1,0x40,0,64,6,0,0,10,0,0,1,10,0,0,2,0x30,0x39,1,0xbb,0,0,0,1,0,0,0,2,0x50,0x10,0xff,0xff,0,0,0,0]; f.resize(60,0);
     for clock in 0..1 { let _ = clock; let mut best = f64::MAX; for _ in 0..30 { let t = cpu(); let o = TestRunOptions { data_in: Some(&f), repeat: 200_000, ..TestRunOptions::new() }; p.xdp("sensor_xdp").unwrap().test_run(o).unwrap(); best = best.min((cpu()-t)/200_000.0); } println!("hot {best:.1} ns"); }
     }
     Err(e) => println!("{e}") }
}
fn cpu() -> f64 { let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 }; unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) }; t.tv_sec as f64 * 1e9 + t.tv_nsec as f64 }
