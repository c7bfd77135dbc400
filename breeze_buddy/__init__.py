"""Breeze Buddy: phone campaigns held by a voice agent over Twilio, each lead a durable Temporal workflow."""
