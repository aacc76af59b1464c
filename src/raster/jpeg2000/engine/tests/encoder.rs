//! An encoder of codestreams for tests. It is slow and plain, and knows every option of the headers.

use super::order;
use super::packets::{BandPlan, BlockPlan, write_packet};
use super::transform::{decompose, mix};
use crate::raster::jpeg2000::engine::code_block::ht::testing::encode as encode_ht;
use crate::raster::jpeg2000::engine::code_block::testing::{Random, encode as encode_block};
use crate::raster::jpeg2000::engine::code_block::{Orientation, Style};
use crate::raster::jpeg2000::engine::geometry::{Rect, TileComponent};
use crate::raster::jpeg2000::engine::markers::CodingStyle;
use crate::raster::jpeg2000::engine::markers::{Order, Volume};
use crate::raster::jpeg2000::engine::progression::PacketId;
use crate::raster::jpeg2000::engine::wavelet::{Kernel, Plane};

/// Where packet headers stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    InPlace,
    Ppm,
    Ppt,
}

#[derive(Debug, Clone)]
pub(crate) struct Component {
    pub depth: u8,
    pub signed: bool,
    pub dx: u8,
    pub dy: u8,
    pub style: CodingStyle,
    pub roi_shift: u8,
}

/// What to encode, and how.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub image: Rect,
    pub tile: (u32, u32),
    pub origin: (u32, u32),
    pub components: Vec<Component>,
    pub order: Order,
    pub poc: Vec<Volume>,
    pub poc_in_tile: bool,
    pub layers: u16,
    pub transform: bool,
    pub sop: bool,
    pub eph: bool,
    pub headers: Headers,
    pub plt: bool,
    pub parts: usize,
    pub open_end: bool,
    pub upfront: bool,
    pub derived: bool,
    pub coc_in_tile: bool,
    /// Leave out the passes of the layers behind these.
    pub kept_layers: Option<u16>,
}

const GUARD: u8 = 3;

impl Spec {
    /// Something small and ordinary.
    pub(crate) fn new(image: Rect, components: usize, levels: u8) -> Self {
        let style = CodingStyle {
            levels,
            block_width_exponent: 4,
            block_height_exponent: 4,
            blocks: Style::default(),
            kernel: Kernel::Reversible53,
            precincts: Vec::new(),
        };
        let component = Component { depth: 8, signed: false, dx: 1, dy: 1, style, roi_shift: 0 };
        Self {
            image,
            tile: (image.x1, image.y1),
            origin: (0, 0),
            components: vec![component; components],
            order: Order::Lrcp,
            poc: Vec::new(),
            poc_in_tile: false,
            layers: 1,
            transform: false,
            sop: false,
            eph: false,
            headers: Headers::InPlace,
            plt: false,
            parts: 1,
            open_end: false,
            upfront: true,
            derived: false,
            coc_in_tile: false,
            kept_layers: None,
        }
    }

    /// Planes of a picture for it.
    pub(crate) fn picture(&self, random: &mut Random) -> Vec<Plane<i32>> {
        let mut planes = Vec::new();
        for component in &self.components {
            let rect = self.image.divided(component.dx.into(), component.dy.into());
            let low = if component.signed { -(1i64 << (component.depth - 1)) } else { 0 };
            let range = 1u64 << component.depth;
            let (a, b) = (random.below(range / 8 + 2), random.below(range / 8 + 2));
            let noise = 1 + random.below(range.min(64));
            let mut samples = Vec::new();
            for y in rect.y0..rect.y1 {
                for x in rect.x0..rect.x1 {
                    let smooth = u64::from(x) * a / 7
                        + u64::from(y) * b / 5
                        + (u64::from(x / 9 + y / 13) % 3) * range / 5;
                    samples.push((((smooth + random.below(noise)) % range) as i64 + low) as i32);
                }
            }
            planes.push(Plane { rect, samples });
        }
        planes
    }

    fn exponent(&self, component: usize, r: u8, orientation: Orientation) -> u8 {
        let component = &self.components[component];
        let base = component.depth + u8::from(self.transform);
        match component.style.kernel {
            Kernel::Reversible53 => base + orientation.log_gain(),
            Kernel::Irreversible97 if self.derived => {
                (base + 3 + component.style.levels) - r.saturating_sub(1)
            }
            Kernel::Irreversible97 => base + orientation.log_gain() + 2,
        }
    }

    const MANTISSA: u16 = 300;

    /// Size of a step and number of bit-planes.
    fn steps(&self, component: usize, r: u8, orientation: Orientation) -> (f64, u8) {
        let exponent = self.exponent(component, r, orientation);
        let component = &self.components[component];
        let step = match component.style.kernel {
            Kernel::Reversible53 => 1.0,
            Kernel::Irreversible97 => {
                (1.0 + f64::from(Self::MANTISSA) / 2048.0)
                    * f64::from(
                        i32::from(component.depth + orientation.log_gain()) - i32::from(exponent),
                    )
                    .exp2()
            }
        };
        (step, GUARD + exponent - 1)
    }
}

fn put(out: &mut Vec<u8>, marker: u16, content: &[u8]) {
    out.extend_from_slice(&marker.to_be_bytes());
    out.extend_from_slice(&(content.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(content);
}

fn style_bytes(style: &CodingStyle) -> Vec<u8> {
    let b = &style.blocks;
    let flags = [
        b.bypass,
        b.reset,
        b.terminate_all,
        b.vertically_causal,
        b.predictable_termination,
        b.segmentation_symbols,
        b.ht,
    ];
    let byte = flags.iter().enumerate().fold(0, |byte, (n, &flag)| byte | u8::from(flag) << n);
    let kernel = u8::from(style.kernel == Kernel::Reversible53);
    let mut bytes = vec![
        style.levels,
        style.block_width_exponent - 2,
        style.block_height_exponent - 2,
        byte,
        kernel,
    ];
    bytes.extend(style.precincts.iter().map(|p| p.1 << 4 | p.0));
    bytes
}

impl Spec {
    fn siz(&self) -> Vec<u8> {
        let mut bytes = vec![0, 0];
        let i = &self.image;
        for n in [i.x1, i.y1, i.x0, i.y0, self.tile.0, self.tile.1, self.origin.0, self.origin.1] {
            bytes.extend_from_slice(&n.to_be_bytes());
        }
        bytes.extend_from_slice(&(self.components.len() as u16).to_be_bytes());
        for c in &self.components {
            bytes.extend([(c.depth - 1) | u8::from(c.signed) << 7, c.dx, c.dy]);
        }
        bytes
    }

    fn cod(&self) -> Vec<u8> {
        let style = &self.components[0].style;
        let scod = u8::from(!style.precincts.is_empty())
            | u8::from(self.sop) << 1
            | u8::from(self.eph) << 2;
        let mut bytes = vec![scod, self.order as u8];
        bytes.extend_from_slice(&self.layers.to_be_bytes());
        bytes.push(u8::from(self.transform));
        bytes.extend(style_bytes(style));
        bytes
    }

    fn quantisation(&self, component: usize) -> Vec<u8> {
        let style = &self.components[component].style;
        let reversible = style.kernel == Kernel::Reversible53;
        let kind = if reversible {
            0
        } else if self.derived {
            1
        } else {
            2
        };
        let mut bytes = vec![GUARD << 5 | kind];
        for r in 0..=style.levels {
            let bands = if r == 0 { &[Orientation::Ll][..] } else { &Orientation::DETAILS };
            for &band in bands {
                let exponent = self.exponent(component, r, band);
                if reversible {
                    bytes.push(exponent << 3);
                } else {
                    bytes.extend_from_slice(
                        &(u16::from(exponent) << 11 | Self::MANTISSA).to_be_bytes(),
                    );
                }
                if kind == 1 {
                    return bytes;
                }
            }
        }
        bytes
    }

    /// COC, QCC and RGN of all components that need them.
    fn overrides(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (n, component) in self.components.iter().enumerate().skip(1) {
            let precincts = u8::from(!component.style.precincts.is_empty());
            let index = if self.components.len() < 257 {
                vec![n as u8]
            } else {
                (n as u16).to_be_bytes().to_vec()
            };
            put(
                &mut out,
                0xff53,
                &[&index[..], &[precincts], &style_bytes(&component.style)[..]].concat(),
            );
            put(&mut out, 0xff5d, &[&index[..], &self.quantisation(n)[..]].concat());
        }
        for (n, component) in self.components.iter().enumerate() {
            if component.roi_shift > 0 {
                put(&mut out, 0xff5e, &[n as u8, 0, component.roi_shift]);
            }
        }
        out
    }

    fn poc_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for v in &self.poc {
            bytes.extend([v.resolutions.start, v.components.start as u8]);
            bytes.extend_from_slice(&v.layers.to_be_bytes());
            bytes.extend([v.resolutions.end, v.components.end as u8, v.order as u8]);
        }
        bytes
    }

    /// Encodes planes that cover the components.
    pub(crate) fn encode(&self, planes: &[Plane<i32>], random: &mut Random) -> Vec<u8> {
        let across = (self.image.x1 - self.origin.0).div_ceil(self.tile.0);
        let down = (self.image.y1 - self.origin.1).div_ceil(self.tile.1);
        let mut tile_parts = Vec::new();
        let mut packed = Vec::new();
        for index in 0..across * down {
            let (p, q) = (index % across, index / across);
            let rect = Rect {
                x0: self.origin.0 + p * self.tile.0,
                y0: self.origin.1 + q * self.tile.1,
                x1: self.origin.0 + (p + 1) * self.tile.0,
                y1: self.origin.1 + (q + 1) * self.tile.1,
            }
            .intersection(&self.image);
            self.encode_tile(index, rect, planes, random, &mut tile_parts, &mut packed);
        }
        let mut out = self.main_header();
        if self.headers == Headers::Ppm {
            let all: Vec<u8> = packed
                .iter()
                .flat_map(|p: &Vec<u8>| [&(p.len() as u32).to_be_bytes()[..], p].concat())
                .collect();
            for (n, piece) in all.chunks(1000).enumerate() {
                put(&mut out, 0xff60, &[&[n as u8], piece].concat());
            }
        }
        let count = tile_parts.len();
        for (n, mut part) in tile_parts.into_iter().enumerate() {
            if self.open_end && n + 1 == count {
                part[6..10].fill(0);
            }
            out.extend(part);
        }
        out.extend([0xff, 0xd9]);
        out
    }

    /// Everything in front of the first SOT but PPM.
    pub(crate) fn main_header(&self) -> Vec<u8> {
        let mut out = vec![0xff, 0x4f];
        put(&mut out, 0xff51, &self.siz());
        if self.components.iter().any(|component| component.style.blocks.ht) {
            put(&mut out, 0xff50, &[0, 2, 0, 0, 0, 0]);
        }
        put(&mut out, 0xff64, b"\0\x01for a test");
        put(&mut out, 0xff52, &self.cod());
        put(&mut out, 0xff5c, &self.quantisation(0));
        if !self.coc_in_tile {
            out.extend(self.overrides());
        }
        if !self.poc.is_empty() && !self.poc_in_tile {
            put(&mut out, 0xff5f, &self.poc_bytes());
        }
        out
    }

    fn encode_tile(
        &self,
        index: u32,
        rect: Rect,
        planes: &[Plane<i32>],
        random: &mut Random,
        tile_parts: &mut Vec<Vec<u8>>,
        packed: &mut Vec<Vec<u8>>,
    ) {
        let geometry: Vec<TileComponent> = self
            .components
            .iter()
            .map(|c| TileComponent::new(&rect, c.dx.into(), c.dy.into(), &c.style))
            .collect();
        let mut shifted: Vec<Plane<f64>> = Vec::new();
        for ((plane, component), geometry) in planes.iter().zip(&self.components).zip(&geometry) {
            let half = if component.signed { 0 } else { 1 << (component.depth - 1) };
            let own = geometry.rect;
            let samples = (own.y0..own.y1)
                .flat_map(|y| {
                    plane.row(y, own.x0, own.x1).unwrap().iter().map(|s| f64::from(s - half))
                })
                .collect();
            shifted.push(Plane { rect: own, samples });
        }
        if self.transform {
            mix(&mut shifted, self.components[0].style.kernel);
        }
        let mut precincts: Vec<Vec<Vec<Vec<BandPlan>>>> = Vec::new();
        for (c, (plane, geometry)) in shifted.into_iter().zip(&geometry).enumerate() {
            precincts.push(self.encode_component(c, plane, geometry, random));
        }
        let ids = order::packets(&rect, &geometry, self.order, self.layers, &self.poc);
        let written: Vec<(Vec<u8>, Vec<u8>)> = ids
            .iter()
            .enumerate()
            .map(|(number, id)| self.write(number, *id, &mut precincts))
            .collect();
        let parts = self.parts.min(written.len()).max(1);
        for part in 0..parts {
            let (from, to) = (written.len() * part / parts, written.len() * (part + 1) / parts);
            let mine = &written[from..to];
            let mut header = Vec::new();
            if part == 0 && self.coc_in_tile {
                header.extend(self.overrides());
            }
            if part == 0 && self.poc_in_tile && !self.poc.is_empty() {
                put(&mut header, 0xff5f, &self.poc_bytes());
            }
            let in_place = self.headers == Headers::InPlace;
            if self.plt {
                let mut bytes = Vec::new();
                for (head, body) in mine {
                    let length = body.len() + if in_place { head.len() } else { 0 };
                    let mut digits = vec![(length & 127) as u8];
                    let mut rest = length >> 7;
                    while rest > 0 {
                        digits.insert(0, (rest & 127) as u8 | 128);
                        rest >>= 7;
                    }
                    bytes.extend(digits);
                }
                for (n, piece) in bytes.chunks(500).enumerate() {
                    put(&mut header, 0xff58, &[&[n as u8], piece].concat());
                }
            }
            let heads: Vec<u8> = mine.iter().flat_map(|(head, _)| head).copied().collect();
            if self.headers == Headers::Ppt {
                for (n, piece) in heads.chunks(300).enumerate() {
                    put(&mut header, 0xff61, &[&[n as u8], piece].concat());
                }
            }
            let body: Vec<u8> = mine
                .iter()
                .flat_map(
                    |(head, body)| if in_place { [&head[..], body].concat() } else { body.clone() },
                )
                .collect();
            packed.push(heads);
            let mut bytes = Vec::new();
            let length = 12 + header.len() + 2 + body.len();
            let sot = [
                &(index as u16).to_be_bytes()[..],
                &(length as u32).to_be_bytes(),
                &[part as u8, parts as u8],
            ]
            .concat();
            put(&mut bytes, 0xff90, &sot);
            bytes.extend(header);
            bytes.extend([0xff, 0x93]);
            bytes.extend(body);
            tile_parts.push(bytes);
        }
    }

    /// Header (EPH included) and body (SOP is in front of what stands first).
    fn write(
        &self,
        number: usize,
        id: PacketId,
        precincts: &mut [Vec<Vec<Vec<BandPlan>>>],
    ) -> (Vec<u8>, Vec<u8>) {
        let bands = &mut precincts[usize::from(id.component)][usize::from(id.resolution)]
            [id.precinct as usize];
        let (mut head, mut body) = write_packet(bands, usize::from(id.layer));
        if self.eph {
            head.extend([0xff, 0x92]);
        }
        if self.sop && number % 3 != 1 {
            let sop = [&[0xff, 0x91, 0, 4][..], &(number as u16).to_be_bytes()].concat();
            if self.headers == Headers::InPlace {
                head = [sop, head].concat();
            } else {
                body = [sop, body].concat();
            }
        }
        (head, body)
    }

    /// The code-blocks by resolution, precinct and sub-band.
    fn encode_component(
        &self,
        c: usize,
        plane: Plane<f64>,
        geometry: &TileComponent,
        random: &mut Random,
    ) -> Vec<Vec<Vec<BandPlan>>> {
        let component = &self.components[c];
        let mut low = plane;
        let mut resolutions = vec![Vec::new(); geometry.resolutions.len()];
        for r in (1..geometry.resolutions.len()).rev() {
            assert_eq!(low.rect.area(), geometry.resolutions[r].rect.area());
            let [(_, ll), details @ ..] = decompose(&low, component.style.kernel);
            resolutions[r] = details.to_vec();
            low = ll;
        }
        resolutions[0] = vec![(Orientation::Ll, low)];
        let mut all = Vec::new();
        for (r, bands) in resolutions.iter().enumerate() {
            let resolution = &geometry.resolutions[r];
            let mut precincts = Vec::new();
            for precinct in 0..resolution.precincts() as u32 {
                let mut plans = Vec::new();
                for (orientation, plane) in bands {
                    let rect = geometry.band(r, *orientation);
                    assert!(
                        rect == plane.rect || (rect.is_empty() && plane.rect.is_empty()),
                        "{rect:?} {:?}",
                        plane.rect
                    );
                    let part = resolution.precinct_band_rect(precinct, &rect);
                    let grid = resolution.block_grid(&part);
                    let mut blocks = Vec::new();
                    for row in grid.y0..grid.y1 {
                        for column in grid.x0..grid.x1 {
                            let (xe, ye) =
                                (resolution.block_width_exponent, resolution.block_height_exponent);
                            let cell = Rect::new(
                                column << xe,
                                row << ye,
                                (column + 1) << xe,
                                (row + 1) << ye,
                            )
                            .intersection(&part);
                            blocks.push(self.block(c, r as u8, *orientation, plane, cell, random));
                        }
                    }
                    plans.push(BandPlan::new(grid.width(), grid.height(), blocks));
                }
                precincts.push(plans);
            }
            all.push(precincts);
        }
        all
    }

    /// A high-throughput code-block of one cleanup pass, with or without placeholders in front.
    fn ht_block(
        &self,
        values: &[i32],
        cell: Rect,
        style: Style,
        bit_planes: u8,
        random: &mut Random,
    ) -> BlockPlan {
        let mut cuts = vec![0; usize::from(self.layers)];
        let mut plan = BlockPlan { upfront: true, ..BlockPlan::default() };
        if values.iter().any(|&value| value != 0) {
            let (coded, _) = encode_ht((cell.width(), cell.height()), values, 1, style);
            let missing = u32::from(bit_planes) - 1;
            let sets = random.below(u64::from(missing.min(4)) + 1) as u32;
            plan.missing = missing - sets;
            plan.segments = vec![(3 * sets + 1, coded.segments[0].1.clone())];
            let first = random.below(u64::from(self.layers)) as usize;
            cuts[first..].fill(3 * sets + 1);
        }
        plan.cuts = cuts;
        plan
    }

    fn block(
        &self,
        c: usize,
        r: u8,
        orientation: Orientation,
        plane: &Plane<f64>,
        cell: Rect,
        random: &mut Random,
    ) -> BlockPlan {
        let component = &self.components[c];
        let (step, bit_planes) = self.steps(c, r, orientation);
        let mut values: Vec<i32> = (cell.y0..cell.y1)
            .flat_map(|y| plane.row(y, cell.x0, cell.x1).unwrap().iter().map(|v| (v / step) as i32))
            .collect();
        assert!(
            values.iter().all(|v| v.unsigned_abs() < 1 << bit_planes),
            "an exponent is too small"
        );
        if component.roi_shift > 0 {
            for value in &mut values {
                assert!(value.unsigned_abs() < 1 << component.roi_shift);
                if random.below(3) == 0 {
                    *value <<= component.roi_shift;
                }
            }
        }
        if component.style.blocks.ht {
            return self.ht_block(&values, cell, component.style.blocks, bit_planes, random);
        }
        let coded = encode_block(
            (cell.width(), cell.height()),
            orientation,
            component.style.blocks,
            &values,
            usize::MAX,
        );
        let missing = u32::from(bit_planes + component.roi_shift - coded.bit_planes);
        let segments: Vec<(u32, Vec<u8>)> =
            coded.segments.iter().map(|(n, b)| (u32::from(*n), b.clone())).collect();
        let total: u32 = segments.iter().map(|s| s.0).sum();
        let mut cuts: Vec<u32> =
            (1..self.layers).map(|_| random.below(u64::from(total) + 1) as u32).collect();
        cuts.push(total);
        cuts.sort_unstable();
        if let Some(kept) = self.kept_layers {
            let last = cuts[usize::from(kept) - 1];
            cuts.iter_mut().skip(usize::from(kept)).for_each(|cut| *cut = last);
        }
        BlockPlan { missing, segments, cuts, upfront: self.upfront }
    }
}
