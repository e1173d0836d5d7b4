"""Documents made for tests: PDF, DOCX, mails and archives, by hand."""
import functools
import io
import re
import struct
import subprocess
import zipfile
import zlib


def pdf(pages, title=None, author=None, scanned=(), extra_trailer=b""):
    """A PDF whose pages hold these lines; pages numbered in `scanned` (from 1) hold an image instead."""
    count, objects = len(pages), {}
    kids = " ".join(f"{10 + 2 * i} 0 R" for i in range(count))
    objects[1] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode()
    objects[3] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects[4] = stream(b"\x80" * 64, b"/Type /XObject /Subtype /Image /Width 8 /Height 8 /ColorSpace /DeviceGray "
                                      b"/BitsPerComponent 8")
    info = b"<< /CreationDate (D:20240131120000Z)"
    info += f" /Title ({title})".encode() if title else b""
    info += f" /Author ({author})".encode() if author else b""
    objects[5] = info + b" >>"
    for i, text in enumerate(pages):
        objects[10 + 2 * i] = (f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {11 + 2 * i} 0 R "
                               "/Resources << /Font << /F1 3 0 R >> /XObject << /I1 4 0 R >> >> >>").encode()
        draw = b"q 100 0 0 100 72 600 cm /I1 Do Q" if i + 1 in scanned else lines(text)
        objects[11 + 2 * i] = stream(draw)
    return assemble(objects, extra_trailer)


def scan(pages, dpi=150, posters=()):
    """A PDF as a scanner makes it: each page is an image of these lines; `posters` (from 1) are five metres wide."""
    count, objects = len(pages), {1: b"<< /Type /Catalog /Pages 2 0 R >>", 5: b"<< >>"}
    kids = " ".join(f"{10 + 3 * i} 0 R" for i in range(count))
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode()
    for i, text in enumerate(pages):
        width, height, pixels = drawn(text, dpi)
        packed, (side, tall) = zlib.compress(pixels), (14400, 14400) if i + 1 in posters else (612, 792)
        objects[10 + 3 * i] = (f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {side} {tall}] /Contents {11 + 3 * i} 0 R "
                               f"/Resources << /XObject << /I1 {12 + 3 * i} 0 R >> >> >>").encode()
        objects[11 + 3 * i] = stream(b"q 612 0 0 792 0 0 cm /I1 Do Q")
        entries = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
        objects[12 + 3 * i] = stream(packed, entries % (width, height) + b"/Filter /FlateDecode")
    return assemble(objects)


@functools.lru_cache(maxsize=8)
def drawn(text, dpi):
    """Width, height and grey pixels of a page with these lines, by poppler."""
    picture = subprocess.run(["pdftoppm", "-q", "-gray", "-r", str(dpi), "-"], input=pdf([text]), stdout=subprocess.PIPE,
                             check=True).stdout
    width, height = re.match(rb"P5\s+(\d+)\s+(\d+)\s", picture).groups()
    return int(width), int(height), picture[-int(width) * int(height):]


def picture(text, kind="png", dpi=150):
    """A page with these lines as a PNG or JPEG, by poppler; a BMP by hand."""
    if kind == "bmp":
        width, height, pixels = drawn(text, dpi)
        rows = [pixels[at * width:(at + 1) * width].ljust((width + 3) // 4 * 4, b"\0") for at in reversed(range(height))]
        colours = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
        return (b"BM" + struct.pack("<III", 0, 0, 54 + len(colours)) +
                struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, 0, 5906, 5906, 256, 0) + colours + b"".join(rows))
    return subprocess.run(["pdftoppm", "-q", "-gray", f"-{kind}", "-r", str(dpi), "-"], input=pdf([text]),
                          stdout=subprocess.PIPE, check=True).stdout


def tiff(pages, dpi=150):
    """A TIFF of several pages, not packed, as scanners make it: its directories stand behind the pixels."""
    out, link = b"II*\0" + bytes(4), 4
    for text in pages:
        width, height, pixels = drawn(text, dpi)
        place, out = len(out), out + pixels + bytes(len(pixels) % 2)
        values = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: place, 277: 1, 278: height, 279: len(pixels)}
        out = out[:link] + struct.pack("<I", len(out)) + out[link + 4:] + struct.pack("<H", len(values))
        out += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
        link, out = len(out), out + bytes(4)
    return out


def png(width, height, data):
    """A PNG that says it is so large, of these packed bytes."""
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", data) + chunk(b"IEND", b""))


def lines(text):
    shown = b" T* ".join(b"(" + line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode() + b") Tj"
                         for line in text.split("\n"))
    return b"BT /F1 12 Tf 14 TL 72 720 Td " + shown + b" ET"


def stream(data, entries=b""):
    return b"<< " + entries + b" /Length %d >>\nstream\n" % len(data) + data + b"\nendstream"


def assemble(objects, extra_trailer=b""):
    out, places = b"%PDF-1.4\n", {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, size = len(out), max(objects) + 1
    table = b"".join(b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 65535 f \n" for n in range(size))
    return (out + b"xref\n0 %d\n" % size + table + b"trailer << /Size %d /Root 1 0 R /Info 5 0 R " % size +
            extra_trailer + b">>\nstartxref\n%d\n%%%%EOF\n" % start)


def locked_pdf():
    """Encrypted with a user password that nobody knows."""
    entries = (b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <" + b"41" * 32 + b"> /U <" + b"42" * 32 +
               b"> >> /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] ")
    return pdf(["secret"], extra_trailer=entries)


def flate_bomb_pdf(megabytes=500):
    """A page whose contents unpack to far more than they take."""
    packer, packed = zlib.compressobj(1), b""
    block = b"BT /F1 12 Tf (x) Tj ET\n" * 5000
    for _ in range(megabytes * 1000000 // len(block)):
        packed += packer.compress(block)
    packed += packer.flush()
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>",
               3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", 5: b"<< >>",
               10: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 11 0 R /Resources << /Font << "
                   b"/F1 3 0 R >> >> >>",
               11: stream(packed, b"/Filter /FlateDecode")}
    return assemble(objects)


def endless_pdf():
    """A small file whose page draws forms that draw forms: little memory, and more time than anybody has."""
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>", 5: b"<< >>",
               10: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 11 0 R /Resources << /XObject << "
                   b"/F 20 0 R >> >> >>", 11: stream(b"/F Do"),
               26: stream(b"q Q", b"/Type /XObject /Subtype /Form /BBox [0 0 612 792]")}
    for level in range(20, 26):
        objects[level] = stream(b"/F Do\n" * 1000, b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << "
                                                   b"/XObject << /F %d 0 R >> >>" % (level + 1))
    return assemble(objects)


def looping_pdf():
    """A page tree that is its own child."""
    return assemble({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [2 0 R] /Count 3 >>",
                     5: b"<< >>"})


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def docx(paragraphs, title="A report"):
    """Paragraphs: text, or (level, text) for a heading."""
    body = ""
    for item in paragraphs:
        level, text = item if isinstance(item, tuple) else (0, item)
        style = f'<w:pPr><w:pStyle w:val="H{level}"/></w:pPr>' if level else ""
        body += f"<w:p>{style}<w:r><w:t>{text}</w:t></w:r></w:p>"
    styles = "".join(f'<w:style w:styleId="H{n}"><w:name w:val="heading {n}"/></w:style>' for n in range(1, 7))
    return archive({
        "[Content_Types].xml": "<Types/>",
        "docProps/core.xml": f'<c xmlns:dc="d"><dc:title>{title}</dc:title><dc:creator>Ann</dc:creator></c>',
        "word/styles.xml": f"<w:styles {W}>{styles}</w:styles>",
        "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
    })


def archive(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


def mail(text, attachments=()):
    parts = "".join(f"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; "
                    f'filename="{name}"\r\n\r\n{data}\r\n' for name, data in attachments)
    return (f"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: Hello\r\n"
            f"Date: Wed, 31 Jan 2024 12:00:00 +0000\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            f"--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n{parts}--b--\r\n").encode()
