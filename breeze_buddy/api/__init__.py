"""FastAPI: REST for people and programs, Twilio's callbacks and the Smart Router."""
