"""Draws the sample images of this project: one simple scene per class of CIFAR-10, 32 x 32 pixels.

    python3 scripts/draw-samples.py OUT

writes OUT/test_batch.bin (CIFAR-10's binary layout: label, red, green and blue planes) and OUT/samples.png, all of them enlarged.
Needs Pillow. The scenes are this project's own, drawn at 512 x 512 with a little noise and scaled down.
"""

import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SIZE = 512
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def gradient(top, bottom):
    """A vertical gradient, as of a sky."""
    image = Image.new("RGB", (SIZE, SIZE))
    pen = ImageDraw.Draw(image)
    for y in range(SIZE):
        share = y / (SIZE - 1)
        pen.line([(0, y), (SIZE, y)], fill=tuple(round(a + (b - a) * share) for a, b in zip(top, bottom)))
    return image


def ground(image, y, top, bottom):
    """Everything below `y`, in a gradient of its own."""
    image.paste(gradient(top, bottom).resize((SIZE, SIZE - y)), (0, y))


def grain(image, seed, amount):
    """Coarse noise, so that surfaces are not flat."""
    noise = random.Random(seed)
    small = Image.new("L", (64, 64))
    small.putdata([noise.randrange(128 - amount, 128 + amount) for _ in range(64 * 64)])
    large = small.resize((SIZE, SIZE), Image.BICUBIC)
    return Image.merge("RGB", [
        Image.eval(Image.blend(channel.convert("L"), large, 0.25), lambda v: max(0, min(255, round((v - 32) / 0.75))))
        for channel in image.split()
    ])


def airplane():
    image = gradient((86, 142, 205), (190, 216, 238))
    pen = ImageDraw.Draw(image)
    pen.polygon([(60, 250), (110, 225), (400, 225), (455, 248), (440, 268), (380, 282), (100, 280)], fill=(226, 230, 236))
    pen.polygon([(100, 262), (380, 268), (380, 282), (100, 280)], fill=(158, 166, 180))
    pen.polygon([(230, 255), (300, 258), (210, 395), (165, 395)], fill=(176, 184, 198))
    pen.polygon([(250, 228), (300, 228), (270, 150), (240, 150)], fill=(198, 204, 214))
    pen.polygon([(62, 248), (120, 228), (80, 140), (40, 140)], fill=(206, 62, 58))
    pen.polygon([(70, 255), (125, 255), (75, 305), (45, 305)], fill=(176, 184, 198))
    pen.polygon([(415, 232), (445, 240), (440, 250), (412, 250)], fill=(52, 70, 96))
    for x in range(150, 400, 28):
        pen.rectangle([x, 238, x + 11, 249], fill=(70, 88, 112))
    pen.ellipse([200, 300, 250, 325], fill=(120, 128, 142))
    return image


def automobile():
    image = gradient((170, 186, 200), (200, 206, 208))
    ground(image, 300, (128, 128, 130), (88, 88, 92))
    pen = ImageDraw.Draw(image)
    pen.ellipse([40, 390, 475, 430], fill=(52, 52, 56))
    pen.polygon([(50, 285), (150, 270), (205, 195), (350, 195), (415, 268), (465, 290), (470, 375), (45, 375)], fill=(196, 30, 36))
    pen.polygon([(170, 268), (212, 208), (272, 208), (272, 268)], fill=(58, 74, 92))
    pen.polygon([(286, 208), (342, 208), (392, 268), (286, 268)], fill=(58, 74, 92))
    pen.rectangle([45, 345, 470, 378], fill=(140, 18, 26))
    pen.rectangle([48, 295, 78, 320], fill=(250, 240, 190))
    pen.rectangle([448, 300, 468, 322], fill=(250, 120, 60))
    for x in (95, 335):
        pen.ellipse([x, 325, x + 90, 415], fill=(24, 24, 26))
        pen.ellipse([x + 24, 349, x + 66, 391], fill=(186, 188, 194))
    return image


def bird():
    image = gradient((120, 150, 90), (150, 172, 110))
    pen = ImageDraw.Draw(image)
    pen.rectangle([0, 405, SIZE, 440], fill=(96, 72, 50))
    pen.polygon([(330, 300), (480, 400), (460, 425), (300, 350)], fill=(92, 76, 64))
    pen.ellipse([150, 170, 375, 385], fill=(150, 120, 92))
    pen.ellipse([150, 240, 300, 390], fill=(214, 180, 140))
    pen.ellipse([110, 90, 240, 220], fill=(120, 92, 70))
    pen.polygon([(115, 140), (50, 165), (118, 175)], fill=(60, 52, 44))
    pen.ellipse([140, 125, 166, 151], fill=(10, 10, 10))
    pen.ellipse([147, 130, 155, 138], fill=(255, 255, 255))
    pen.polygon([(230, 210), (390, 300), (350, 370), (240, 300)], fill=(98, 78, 60))
    for x in (225, 265):
        pen.line([(x, 380), (x - 8, 415)], fill=(70, 56, 44), width=10)
    return image


def cat():
    image = gradient((176, 160, 146), (142, 124, 110))
    pen = ImageDraw.Draw(image)
    fur, dark, light = (118, 104, 92), (70, 60, 54), (206, 196, 186)
    pen.ellipse([90, 300, 430, 640], fill=fur)
    pen.polygon([(120, 230), (110, 50), (245, 140)], fill=fur)
    pen.polygon([(392, 230), (402, 50), (267, 140)], fill=fur)
    pen.polygon([(140, 180), (130, 90), (205, 140)], fill=(196, 148, 140))
    pen.polygon([(372, 180), (382, 90), (307, 140)], fill=(196, 148, 140))
    pen.ellipse([100, 110, 412, 390], fill=fur)
    for x in (200, 245, 290):
        pen.polygon([(x, 120), (x + 22, 120), (x + 11, 190)], fill=dark)
    for side in (-1, 1):
        for y in (230, 270):
            pen.polygon([(256 + side * 150, y), (256 + side * 150, y + 16), (256 + side * 95, y + 12)], fill=dark)
    pen.ellipse([175, 275, 337, 385], fill=light)
    for x in (150, 292):
        pen.ellipse([x, 205, x + 70, 265], fill=(188, 200, 92))
        pen.ellipse([x + 24, 205, x + 46, 265], fill=(12, 12, 12))
    pen.polygon([(236, 290), (276, 290), (256, 315)], fill=(196, 120, 120))
    pen.line([(256, 315), (256, 335)], fill=dark, width=6)
    pen.arc([216, 310, 256, 350], 0, 180, fill=dark, width=6)
    pen.arc([256, 310, 296, 350], 0, 180, fill=dark, width=6)
    return image


def deer():
    image = gradient((150, 170, 110), (124, 146, 84))
    ground(image, 360, (120, 134, 72), (96, 110, 56))
    pen = ImageDraw.Draw(image)
    fur, dark = (150, 104, 66), (112, 76, 48)
    for x in (180, 220, 345, 380):
        pen.polygon([(x, 300), (x + 26, 300), (x + 16, 460), (x + 2, 460)], fill=dark)
    pen.ellipse([150, 205, 420, 340], fill=fur)
    pen.polygon([(150, 270), (120, 120), (180, 115), (240, 230)], fill=fur)
    pen.ellipse([70, 90, 190, 160], fill=fur)
    pen.polygon([(150, 100), (205, 70), (195, 115)], fill=dark)
    pen.ellipse([70, 118, 92, 142], fill=(30, 24, 22))
    pen.ellipse([116, 104, 132, 120], fill=(16, 12, 10))
    for points in ([(140, 95), (120, 40), (135, 10)], [(125, 55), (95, 30)], [(160, 92), (185, 40), (180, 8)], [(178, 55), (210, 28)]):
        pen.line(points, fill=(92, 68, 48), width=11, joint="curve")
    pen.ellipse([395, 215, 430, 265], fill=(236, 226, 212))
    return image


def dog():
    image = gradient((120, 160, 96), (96, 138, 74))
    pen = ImageDraw.Draw(image)
    fur, dark, light = (196, 150, 96), (120, 82, 48), (236, 214, 180)
    pen.ellipse([110, 330, 410, 640], fill=fur)
    pen.ellipse([130, 90, 382, 370], fill=fur)
    pen.polygon([(150, 120), (80, 160), (95, 320), (155, 270)], fill=dark)
    pen.polygon([(362, 120), (432, 160), (417, 320), (357, 270)], fill=dark)
    pen.ellipse([190, 230, 322, 385], fill=light)
    pen.rectangle([240, 100, 272, 240], fill=light)
    for x in (185, 290):
        pen.ellipse([x, 185, x + 38, 223], fill=(36, 24, 18))
        pen.ellipse([x + 18, 191, x + 28, 201], fill=(255, 255, 255))
    pen.ellipse([225, 250, 287, 295], fill=(24, 20, 20))
    pen.line([(256, 295), (256, 330)], fill=(60, 40, 30), width=7)
    pen.ellipse([232, 325, 280, 375], fill=(214, 100, 104))
    return image


def frog():
    image = gradient((120, 92, 66), (92, 68, 48))
    pen = ImageDraw.Draw(image)
    skin, dark, light = (92, 136, 52), (62, 98, 36), (186, 196, 120)
    pen.ellipse([60, 400, 460, 470], fill=(56, 42, 32))
    pen.ellipse([30, 250, 190, 440], fill=dark)
    pen.ellipse([322, 250, 482, 440], fill=dark)
    pen.ellipse([100, 190, 412, 440], fill=skin)
    pen.ellipse([150, 320, 362, 445], fill=light)
    for x in (120, 300):
        pen.ellipse([x, 130, x + 92, 222], fill=skin)
        pen.ellipse([x + 16, 146, x + 76, 206], fill=(222, 190, 74))
        pen.ellipse([x + 30, 166, x + 62, 188], fill=(14, 14, 10))
    pen.arc([150, 210, 362, 320], 10, 170, fill=(40, 60, 24), width=9)
    for x in (40, 130, 320, 400):
        pen.ellipse([x, 415, x + 80, 450], fill=skin)
    for x, y in ((200, 215), (270, 225), (160, 270), (340, 275), (235, 255)):
        pen.ellipse([x, y, x + 28, y + 20], fill=dark)
    return image


def horse():
    image = gradient((150, 186, 220), (200, 214, 220))
    ground(image, 330, (116, 148, 66), (90, 122, 50))
    pen = ImageDraw.Draw(image)
    fur, dark = (118, 66, 36), (58, 34, 22)
    for x in (165, 205, 355, 395):
        pen.polygon([(x, 290), (x + 34, 290), (x + 22, 455), (x + 2, 455)], fill=fur)
        pen.rectangle([x, 440, x + 24, 460], fill=(30, 22, 18))
    pen.ellipse([140, 190, 440, 335], fill=fur)
    pen.polygon([(150, 280), (110, 110), (175, 80), (270, 215)], fill=fur)
    pen.polygon([(165, 75), (200, 110), (280, 215), (240, 220), (160, 110)], fill=dark)
    pen.polygon([(110, 90), (175, 85), (165, 150), (70, 205), (40, 185), (55, 155)], fill=fur)
    pen.polygon([(130, 92), (142, 50), (160, 92)], fill=fur)
    pen.ellipse([112, 112, 128, 128], fill=(12, 8, 8))
    pen.polygon([(425, 215), (470, 240), (462, 390), (435, 370), (440, 290)], fill=dark)
    return image


def ship():
    image = gradient((142, 178, 214), (206, 222, 234))
    ground(image, 330, (50, 92, 132), (30, 62, 98))
    pen = ImageDraw.Draw(image)
    pen.polygon([(30, 270), (480, 270), (425, 375), (85, 375)], fill=(44, 52, 66))
    pen.polygon([(62, 335), (445, 335), (425, 375), (85, 375)], fill=(150, 40, 38))
    pen.rectangle([120, 215, 400, 270], fill=(236, 238, 240))
    pen.rectangle([180, 165, 350, 215], fill=(222, 226, 230))
    pen.rectangle([270, 95, 315, 165], fill=(190, 52, 46))
    pen.rectangle([270, 95, 315, 115], fill=(30, 30, 34))
    for x in range(135, 390, 30):
        pen.rectangle([x, 232, x + 14, 248], fill=(60, 84, 112))
    for x in range(192, 340, 26):
        pen.rectangle([x, 182, x + 13, 198], fill=(60, 84, 112))
    pen.line([(420, 270), (420, 150)], fill=(80, 84, 92), width=7)
    pen.polygon([(40, 375), (470, 375), (500, 392), (10, 392)], fill=(196, 214, 226))
    return image


def truck():
    image = gradient((164, 190, 214), (204, 212, 216))
    ground(image, 350, (120, 120, 122), (86, 86, 90))
    pen = ImageDraw.Draw(image)
    pen.ellipse([30, 405, 490, 440], fill=(50, 50, 54))
    pen.rectangle([30, 120, 330, 350], fill=(232, 232, 228))
    pen.rectangle([30, 120, 330, 140], fill=(200, 200, 196))
    pen.polygon([(340, 190), (430, 190), (478, 270), (478, 370), (340, 370)], fill=(34, 82, 158))
    pen.polygon([(365, 208), (424, 208), (456, 268), (365, 268)], fill=(176, 204, 222))
    pen.rectangle([30, 350, 478, 378], fill=(44, 46, 52))
    pen.rectangle([456, 318, 478, 340], fill=(250, 232, 170))
    for x in (60, 140, 370):
        pen.ellipse([x, 340, x + 80, 420], fill=(20, 20, 22))
        pen.ellipse([x + 24, 364, x + 56, 396], fill=(172, 174, 180))
    return image


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    scenes = [airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck]
    sheet = Image.new("RGB", (5 * 136 + 8, 2 * 136 + 8), (255, 255, 255))
    data = bytearray()
    for label, scene in enumerate(scenes):
        image = grain(scene().filter(ImageFilter.GaussianBlur(3)), label, 40).resize((32, 32), Image.LANCZOS)
        data.append(label)
        for channel in image.split():
            data += channel.tobytes()
        sheet.paste(image.resize((128, 128), Image.NEAREST), (8 + label % 5 * 136, 8 + label // 5 * 136))
    (out / "test_batch.bin").write_bytes(data)
    sheet.save(out / "samples.png", optimize=True)


if __name__ == "__main__":
    main()
