"""Predicted boxes in the formats of annotation tools: COCO, YOLO, Pascal VOC, Label Studio and CSV."""
