"""Images from every kind of file give the same pixels and labels; what is broken is said in one sentence."""

from __future__ import annotations

import gzip
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from downslope.data.images import is_images, read_images
from downslope.data.sources import read
from downslope.errors import InputError, SourceError, TargetError
from downslope.machine import available_bytes
from downslope.records.sizes import written

COUNT, HEIGHT, WIDTH = 12, 5, 7
CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
Write = Callable[[Path, np.ndarray], Path]


def drawn(channels: int = 0, count: int = COUNT) -> np.ndarray:
    shape = (count, HEIGHT, WIDTH) + ((channels,) if channels else ())
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def labels(count: int = COUNT) -> np.ndarray:
    return (np.arange(count) % 3).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    big = array.astype(array.dtype.newbyteorder(">"))
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + big.tobytes()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def png(pixels: np.ndarray, form: str = "png") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def refused(kind: type[InputError], *words: str, **call: Any) -> str:
    with pytest.raises(kind) as caught:
        read_images(**call)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    for word in words:
        assert word in text, text
    return text


@pytest.mark.parametrize("name", ["x.idx", "x.idx.gz", "train-images-idx3-ubyte", "x.gz", "x"])
def test_idx_is_told_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    path, target = write(tmp_path / name, idx(drawn())), write(tmp_path / ("labels-" + name), idx(labels()))
    assert is_images(path)
    assert not is_images(target)
    images = read_images(path, target)
    np.testing.assert_array_equal(images.pixels[..., 0], drawn())
    assert images.pixels.shape == (COUNT, HEIGHT, WIDTH, 1)
    assert images.pixels.dtype == np.uint8
    np.testing.assert_array_equal(images.target, labels())
    assert images.source == str(path)


@pytest.mark.parametrize("form", list(CODES))
def test_every_type_of_idx(tmp_path: Path, form: str) -> None:
    values = (drawn() // 2 + (0.5 if form[0] == "f" else 0)).astype(form)
    images = read_images(write(tmp_path / "x.idx", idx(values)))
    np.testing.assert_array_equal(images.pixels[..., 0], values)
    assert images.pixels.dtype == (np.float32 if form[0] == "f" else np.uint8)
    assert images.target is None


@settings(max_examples=25)
@given(
    values=st.tuples(*[st.integers(1, 4)] * 3)
    .flatmap(lambda shape: st.sampled_from([shape, *[(*shape, channels) for channels in (1, 2, 3, 4)]]))
    .flatmap(lambda shape: arrays(np.uint8, shape)),
    dtype=st.sampled_from([np.uint8, np.int16, np.uint16, np.int64, np.float32, np.float64, np.bool_]),
)
def test_arrays_of_every_type_and_shape(values: np.ndarray, dtype: type) -> None:
    array = values.astype(dtype)
    images = read_images(array)
    shaped = array if array.ndim == 4 else array[..., None]
    kept = shaped[..., : 1 if shaped.shape[3] < 3 else 3]
    np.testing.assert_array_equal(images.pixels, kept.astype(np.float64))
    assert images.pixels.dtype == np.uint8
    assert images.pixels.flags.c_contiguous


def test_channels_may_come_first_and_floats_stay_floats() -> None:
    colour = drawn(3) / 255.0
    np.testing.assert_array_equal(read_images(np.moveaxis(colour, 3, 1)).pixels, colour.astype(np.float32))
    deep = np.full((2, 5, 5), 40_000, np.uint16)
    assert read_images(deep).pixels.dtype == np.float32


@pytest.mark.parametrize("name", ["x.npy", "x.npy.gz", "noending"])
def test_npy(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, npy(np.asfortranarray(drawn(3))))
    assert is_images(path)
    target = write(tmp_path / "y.npy", npy(labels()[:, None]))
    images = read_images(path, target)
    np.testing.assert_array_equal(images.pixels, drawn(3))
    np.testing.assert_array_equal(images.target, labels())


def test_images_may_come_in_a_pair_with_their_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "x.idx", idx(drawn()))
    for source in ((drawn(), labels()), (path, labels().tolist()), (read_images(path), labels())):
        assert is_images(source)
        images = read_images(source)
        np.testing.assert_array_equal(images.pixels[..., 0], drawn())
        np.testing.assert_array_equal(images.target, labels())


def test_npz_with_labels_in_it_or_in_another(tmp_path: Path) -> None:
    inside, other = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez_compressed(inside, x=drawn(), y=labels(), note=np.array("digits"))
    np.savez(other, labels=labels() + 1)
    assert is_images(inside)
    images = read_images(inside, "y")
    np.testing.assert_array_equal(images.pixels[..., 0], drawn())
    np.testing.assert_array_equal(images.target, labels())
    assert images.target_name == "y"
    np.testing.assert_array_equal(read_images(inside, other).target, labels() + 1)
    refused(TargetError, 'no target "z"', '"y"', source=inside, target="z")


def test_npz_with_two_sets_of_images_takes_the_one_that_the_labels_fit(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=drawn(), y_train=labels(), x_test=drawn()[:5], y_test=labels(5))
    assert read_images(path, "y_train").count == COUNT
    assert read_images(path, "y_test").count == 5
    refused(SourceError, "several arrays of images", '"x_train", "x_test"', source=path)


def test_a_table_in_an_npz_is_no_image_and_fails_as_before(tmp_path: Path) -> None:
    np.savez(tmp_path / "table.npz", x=np.zeros((4, 3)), y=np.zeros(4))
    (tmp_path / "t.npy").write_bytes(npy(np.zeros((4, 3))))
    for name in ("table.npz", "t.npy"):
        assert not is_images(tmp_path / name)
        with pytest.raises(SourceError, match="no format that can be read"):
            read(tmp_path / name)


def test_a_folder_of_pictures_has_its_subfolders_as_classes(tmp_path: Path) -> None:
    for index, name in enumerate(["dog", "cat", "cat", "bird"]):
        write(tmp_path / "pets" / name / f"{index}.png", png(drawn()[index]))
    write(tmp_path / "pets" / "cat" / ".hidden.png", b"x")
    write(tmp_path / "pets" / "cat" / "notes.txt", b"some words")
    write(tmp_path / "pets" / "README.txt", b"some words")
    folder = tmp_path / "pets"
    assert is_images(folder)
    images = read_images(folder, "kind")
    assert images.target is not None
    assert images.target.tolist() == ["bird", "cat", "cat", "dog"]
    np.testing.assert_array_equal(images.pixels[..., 0], drawn()[[3, 1, 2, 0]])
    assert images.beside.column("image").to_pylist() == ["bird/3.png", "cat/1.png", "cat/2.png", "dog/0.png"]
    assert images.target_name == "kind"
    flat = read_images(folder / "cat")
    assert flat.target is None
    np.testing.assert_array_equal(flat.pixels, images.pixels[1:3])
    np.testing.assert_array_equal(read_images(folder / "cat" / "1.png").pixels, images.pixels[1:2])
    np.testing.assert_array_equal(read_images(str(folder / "*" / "*.png")).pixels, images.pixels)


def test_every_form_of_picture(tmp_path: Path) -> None:
    grey, colour = drawn()[0], drawn(3)[0]
    alpha = np.dstack([colour, np.full((HEIGHT, WIDTH), 7, np.uint8)])
    folder = tmp_path / "all"
    for name, pixels in (("grey", grey), ("colour", colour), ("alpha", alpha)):
        write(folder / "x" / f"{name}.png", png(pixels))
    Image.fromarray(colour).save(folder / "x" / "z.bmp")
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "x" / "deep.png")
    Image.fromarray(colour).convert("CMYK").save(folder / "x" / "print.tif")
    by_name = dict(zip(["alpha", "colour", "deep", "grey", "print", "z"], read_images(folder).pixels, strict=True))
    for name in ("alpha", "colour", "z"):
        np.testing.assert_array_equal(by_name[name], colour)
    for name in ("grey", "deep"):
        np.testing.assert_array_equal(by_name[name], np.repeat(grey[..., None], 3, axis=2))
    assert by_name["print"].shape == colour.shape


def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    picture = Image.fromarray(drawn()[0])
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left
    (tmp_path / "x").mkdir()
    picture.save(tmp_path / "x" / "a.png", exif=exif)
    np.testing.assert_array_equal(read_images(tmp_path).pixels[0, ..., 0], np.rot90(drawn()[0], -1))


@pytest.mark.parametrize("struct_like", [False, True])
def test_parquet_with_a_column_of_pictures(tmp_path: Path, struct_like: bool) -> None:
    encoded = [png(each) for each in drawn(3)]
    column = [{"bytes": each, "path": None} for each in encoded] if struct_like else encoded
    kinds = ["a", "b", "c"] * 4
    table = pa.table({"id": range(COUNT), "image": column, "kind": kinds, "raw": [b"\0\1"] * COUNT})
    parquet.write_table(table.slice(0, 7), tmp_path / "part-0.parquet")
    parquet.write_table(table.slice(7), tmp_path / "part-1.parquet")
    for source in (tmp_path, tmp_path / "*.parquet"):
        assert is_images(str(source))
        images = read_images(str(source), "kind")
        np.testing.assert_array_equal(images.pixels, drawn(3))
        assert images.target is not None
        assert images.target.tolist() == kinds
        assert images.beside.column_names == ["id", "kind", "raw"]
    refused(TargetError, 'no target "kinds"', 'nearest: "kind"', source=tmp_path, target="kinds")


def test_parquet_without_pictures_stays_a_table(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"x": [1.0, 2.0], "raw": [b"\0\1", b"ab"]}), tmp_path / "t.parquet")
    assert not is_images(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").rows == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("0\n1\n2\n", [0, 1, 2]), ("label\n0\n1\n2\n", [0, 1, 2]), ("cat\ndog\ncat\n", ["cat", "dog", "cat"]),
        ("kind\ncat\ndog\ncat\n", ["cat", "dog", "cat"]), ("1.5\n2\n-3\n\n", [1.5, 2.0, -3.0]),
        ('"a, b"\nc\nd', ["a, b", "c", "d"]), ("\ufeff7\r\n8\r\n9\r\n", [7, 8, 9]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["y.csv", "y.txt", "y.csv.gz"])
def test_labels_in_a_text(tmp_path: Path, content: str, expected: list[Any], name: str) -> None:
    images = read_images(drawn(count=3), write(tmp_path / name, content.encode()))
    assert images.target is not None
    assert images.target.tolist() == expected


def test_labels_in_a_table_of_one_column_or_an_array(tmp_path: Path) -> None:
    kinds = ["a", "b", None] * 4
    parquet.write_table(pa.table({"kind": kinds}), tmp_path / "y.parquet")
    for target in (tmp_path / "y.parquet", kinds, pa.array(kinds), np.array(kinds, dtype=object)):
        images = read_images(drawn(), target)
        assert images.target is not None
        assert images.target.tolist() == kinds


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resize_agrees_with_pillow_channel_by_channel(tmp_path: Path, dtype: type) -> None:
    pixels = drawn(3)[:2].astype(dtype) + dtype(0.5 if dtype is np.float32 else 0)
    found = read_images(pixels, resize=4).pixels
    assert found.shape == (2, 4, 4, 3)
    assert found.dtype == dtype
    for index in range(2):
        for channel in range(3):
            plane = Image.fromarray(np.ascontiguousarray(pixels[index, :, :, channel]))
            expected = np.asarray(plane.resize((4, 4), Image.Resampling.BILINEAR))
            np.testing.assert_array_equal(found[index, :, :, channel], expected)
    constant = read_images(np.full((1, 9, 3), 77, np.uint8), resize=6).pixels
    assert (constant == 77).all()


def test_mixed_sizes_are_named_and_resize_mends_them(tmp_path: Path) -> None:
    write(tmp_path / "a" / "small.png", png(drawn()[0][:4, :4]))
    write(tmp_path / "b" / "large.png", png(drawn()[1]))
    text = refused(SourceError, "small.png has 4 x 4 pixels", "large.png has 7 x 5", "--resize 4", source=tmp_path)
    assert str(tmp_path / "a") in text
    assert read_images(tmp_path, resize=6).pixels.shape == (2, 6, 6, 1)


def test_bytes_that_are_missing_are_counted(tmp_path: Path) -> None:
    whole = idx(drawn())
    wanted = COUNT * HEIGHT * WIDTH
    path = write(tmp_path / "x.idx", whole[:-10])
    refused(SourceError, str(path), f"10 of its {wanted} bytes", source=path)
    packed = gzip.compress(idx(drawn(count=3000)))
    cut = tmp_path / "x.idx.gz"
    cut.write_bytes(packed[: len(packed) // 2])
    assert is_images(cut)
    refused(SourceError, str(cut), "is cut off", "of its 105,000 bytes", source=cut)
    cut.write_bytes(packed[:-4])
    refused(SourceError, str(cut), "damaged or cut off", source=cut)
    cut.write_bytes(packed[:-8] + b"\0\0\0\0" + packed[-4:])
    refused(SourceError, str(cut), "damaged or cut off", source=cut)
    refused(SourceError, "goes on after", source=write(tmp_path / "long.idx", whole + b"\0"))
    refused(SourceError, "5 of its", source=write(tmp_path / "x.npy", npy(drawn())[:-5]))


def test_a_broken_archive_or_picture_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=drawn(), y=labels())
    whole = (tmp_path / "x.npz").read_bytes()
    broken = write(tmp_path / "half.npz", whole[: len(whole) // 2])
    assert is_images(broken)
    refused(SourceError, str(broken), "damaged or cut off", source=broken)
    np.savez(tmp_path / "objects.npz", x=drawn(), y=np.array([{}] * COUNT, dtype=object))
    refused(SourceError, '"y"', "Python objects", source=tmp_path / "objects.npz", target="y")
    bad = write(tmp_path / "pets" / "cat" / "1.png", png(np.tile(drawn()[0], (30, 30)))[:-900])
    refused(SourceError, str(bad), "not a whole picture", source=tmp_path / "pets")
    bad.write_bytes(b"no picture at all")
    refused(SourceError, str(bad), "no format that can be read", source=tmp_path / "pets")
    encoded = [png(each) for each in drawn()]
    parquet.write_table(pa.table({"image": [*encoded[:4], encoded[4][:40]]}), tmp_path / "x.parquet")
    refused(SourceError, "row 5", '"image"', source=tmp_path / "x.parquet")
    parquet.write_table(pa.table({"image": [*encoded[:4], None]}), tmp_path / "x.parquet")
    refused(SourceError, "row 5", "no picture", source=tmp_path / "x.parquet")


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "x.idx", idx(drawn()))
    short = write(tmp_path / "y.idx", idx(labels(9)))
    refused(TargetError, "12 images", "9 labels", str(short), source=path, target=short)
    refused(TargetError, "12 images", "9 labels", source=drawn(), target=labels(9))
    refused(TargetError, "no file of labels", 'nearest: "y.idx"', source=path, target=tmp_path / "z.idx")
    refused(TargetError, "one for each image", source=path, target=path)
    refused(TargetError, "line 1", "2 columns", source=path, target=write(tmp_path / "y.csv", b"a,b\n1,2\n"))
    refused(TargetError, "no labels that can be read", source=path, target=write(tmp_path / "y.bin", b"\1\2\3"))


def test_a_folder_without_pictures_or_without_classes(tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    assert is_images(tmp_path / "pets")
    refused(SourceError, "pets holds no pictures", "subfolder", source=tmp_path / "pets")
    write(tmp_path / "flat" / "1.png", png(drawn()[0]))
    refused(TargetError, "subfolder of its own", source=tmp_path / "flat", target="class")
    write(tmp_path / "pets" / "cat" / "1.png", png(drawn()[0]))
    extra = write(tmp_path / "y.txt", b"cat\n")
    refused(TargetError, "names of its subfolders", source=tmp_path / "pets", target=extra)
    (tmp_path / "bare").mkdir()
    assert not is_images(tmp_path / "bare")
    write(tmp_path / "mixed" / "data.csv", b"a,b\n1,2\n")
    write(tmp_path / "mixed" / "plots" / "1.png", png(drawn()[0]))
    assert not is_images(tmp_path / "mixed")


def test_arrays_that_are_no_images() -> None:
    refused(SourceError, "shape (2, 3, 4, 5, 6)", source=np.zeros((2, 3, 4, 5, 6)))
    refused(SourceError, "shape (2, 9, 9, 9)", source=np.zeros((2, 9, 9, 9)))
    refused(SourceError, "no images", source=np.zeros((0, 9, 9)))
    refused(SourceError, "complex128", source=np.zeros((2, 9, 9), complex))
    bad = np.zeros((5, 3, 3))
    bad[3, 1, 1] = np.nan
    refused(SourceError, "image 4", "no finite number", source=bad)
    bad[3, 1, 1] = 1e300
    refused(SourceError, "image 4", "no finite number", source=bad)
    assert not is_images(np.zeros((3, 3)))
    assert not is_images({"a": [1]})
    assert not is_images(([1, 2], [3, 4]))
    assert not is_images(("a", "b"))
    assert not is_images("nowhere.idx")


def test_what_would_not_fit_in_memory_is_said_before_it_is_read(tmp_path: Path) -> None:
    free = available_bytes()
    assert free is not None
    assert free > 1e6
    count = free // 4096**2 + 1
    needed = written(2 * count * 4096**2)
    refused(SourceError, needed, "of memory", "free", source=sparse_idx(tmp_path / "x.idx", count))
    huge = np.broadcast_to(np.uint8(1), (count, 4096, 4096))
    refused(SourceError, "of memory", source=huge)
    refused(SourceError, "of memory", source=np.zeros((1000, 1, 1), np.uint8), resize=2**20)


def sparse_idx(path: Path, count: int) -> Path:
    path.write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, count, 4096, 4096))
    os.truncate(path, 16 + count * 4096**2)
    return path
